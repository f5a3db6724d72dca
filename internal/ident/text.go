// SPDX-License-Identifier: Apache-2.0

package ident

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
)

// MaxTextSize is the largest key or certificate file in bytes. The largest certificate needs about
// 500; more is another kind of file.
const MaxTextSize = 4096

// EncodeText is a key or certificate as the content of its file: one line of standard BASE64.
func EncodeText(b []byte) []byte {
	text := make([]byte, 0, base64.StdEncoding.EncodedLen(len(b))+1)
	return append(base64.StdEncoding.AppendEncode(text, b), '\n')
}

// DecodeText reads what EncodeText writes. White space around the line is permitted, anything else
// is not. Errors wrap ErrText, say what is wrong, and never repeat the text.
func DecodeText(b []byte) ([]byte, error) {
	if len(b) > MaxTextSize {
		return nil, fmt.Errorf("%w: it has %d bytes, which no key or certificate has",
			ErrText, len(b))
	}
	return decodeBase64(string(bytes.TrimSpace(b)))
}

// decodeBase64 reads standard BASE64 with padding and accepts one text per value. The standard
// library skips line breaks, so they are refused before it is asked.
func decodeBase64(s string) ([]byte, error) {
	switch {
	case s == "":
		return nil, fmt.Errorf("%w: it is empty", ErrText)
	case strings.HasPrefix(s, "-----BEGIN"):
		return nil, fmt.Errorf("%w: it is in PEM format", ErrText)
	case strings.ContainsAny(s, "\r\n"):
		return nil, fmt.Errorf("%w: it has more than one line", ErrText)
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9',
			c == '+', c == '/', c == '=':
		case c == '-' || c == '_':
			return nil, fmt.Errorf("%w: character %d is of the URL alphabet", ErrText, i+1)
		default:
			return nil, fmt.Errorf("%w: character %d is not BASE64", ErrText, i+1)
		}
	}
	if len(s)%4 != 0 {
		return nil, fmt.Errorf("%w: its length is not a multiple of 4, was it cut?", ErrText)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: its padding is wrong", ErrText)
	}
	return raw, nil
}
