// SPDX-License-Identifier: Apache-2.0

package wire

import "staex/internal/ident"

// Kinds of what a Lookup looks for; those of the tags in records.
const (
	ClaimName   = 1 // a DNS name
	ClaimStatic = 2 // a static address
)

// Lookup is control message 30: who claims this tag? It climbs from parent to parent until
// somebody has records with the tag.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------------------------------------------------------+
//	|  tag (8)                                                      |
//	+---------------+-----------------------------------------------+
//	|  hops left    |
//	+---------------+
//
//	offset  size  field
//	0       8     id
//	8       8     tag
//	16      1     hops left
type Lookup struct {
	ID   [8]byte // random; the same at every hop
	Tag  [8]byte // keyed hash of a name or address, as in records
	Hops uint8   // counted down by each relay
}

// Append appends the encoded body to dst.
func (l Lookup) Append(dst []byte) []byte {
	return append(append(append(dst, l.ID[:]...), l.Tag[:]...), l.Hops)
}

// ParseLookup reads the body of a message.
func ParseLookup(b []byte) (Lookup, error) {
	c := cursor{frame: "lookup", b: b}
	l := Lookup{ID: c.id()}
	copy(l.Tag[:], c.take("tag", len(l.Tag)))
	l.Hops = c.u8("hops")
	if err := c.end(); err != nil {
		return Lookup{}, err
	}
	return l, nil
}

// MaxFound is how many owners an answer may name.
const MaxFound = 4

// Found is control message 31: the answer to a Lookup, with the keys whose records have the tag.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------+-----------------------------------------------+
//	|   count (k)   |  keys (32 k) ...                              |
//	+---------------+-----------------------------------------------+
//
//	offset  size  field
//	0       8     id, from Lookup
//	8       1     number of keys, k, 0 to 4
//	9       32 k  keys
type Found struct {
	ID   [8]byte        // the id of the Lookup that is answered
	Keys []ident.NodeID // at most MaxFound; not checked to be points; none: nobody claims it
}

// Append appends the encoded body to dst. It panics when there are too many keys.
func (f Found) Append(dst []byte) []byte {
	mustFit("keys", len(f.Keys), 0, MaxFound)
	return appendKeys(append(dst, f.ID[:]...), "keys", f.Keys)
}

// ParseFound reads the body of a message.
func ParseFound(b []byte) (Found, error) {
	c := cursor{frame: "found", b: b}
	f := Found{ID: c.id(), Keys: c.keys("keys", MaxFound)}
	if err := c.end(); err != nil {
		return Found{}, err
	}
	return f, nil
}

// Claim is session message 20: is this name or address yours? Only its owner can say.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------+---------------+-------------------------------+
//	|     kind      |  length (n)   |  name or address (n)          |
//	+---------------+---------------+-------------------------------+
//
//	offset  size  field
//	0       8     id
//	8       1     kind: 1 DNS name, 2 static address
//	9       1     length, n, 1 to 63
//	10      n     name, or address as text
type Claim struct {
	ID   [8]byte // random; finds the answer
	Kind uint8   // ClaimName or ClaimStatic
	Text []byte  // 1 to MaxName bytes; not checked
}

// Append appends the encoded body to dst. It panics when the text breaks its bound.
func (m Claim) Append(dst []byte) []byte {
	mustFit("text", len(m.Text), 1, MaxName)
	dst = append(append(dst, m.ID[:]...), m.Kind, byte(len(m.Text)))
	return append(dst, m.Text...)
}

// ParseClaim reads the body of a message.
func ParseClaim(b []byte) (Claim, error) {
	c := cursor{frame: "claim", b: b}
	m := Claim{ID: c.id(), Kind: c.u8("kind")}
	if c.err == nil && m.Kind != ClaimName && m.Kind != ClaimStatic {
		c.fail("kind", ErrBadValue)
	}
	size := int(c.u8("length"))
	if c.err == nil && (size == 0 || size > MaxName) {
		c.fail("length", ErrBadLength)
	}
	m.Text = c.take("text", size)
	if err := c.end(); err != nil {
		return Claim{}, err
	}
	return m, nil
}

// ClaimOK is session message 21: the answer to a Claim.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|  id (8)                                                       |
//	+---------------+-------------------------------+---------------+
//	|     mine      |  length of certificate (n)    |  names (n)... |
//	+---------------+-------------------------------+---------------+
//
//	offset  size  field
//	0       8     id, from Claim
//	8       1     1: it is mine, 0: it is not
//	9       2     length of names certificate, n, 0 to 320
//	11      n     names certificate
type ClaimOK struct {
	ID        [8]byte // the id of the Claim that is answered
	Mine      bool
	NamesCert []byte // at most MaxNamesCert bytes: the network's own word; may be empty
}

// Append appends the encoded body to dst. It panics when the certificate breaks its bound.
func (m ClaimOK) Append(dst []byte) []byte {
	mine := byte(0)
	if m.Mine {
		mine = 1
	}
	dst = append(append(dst, m.ID[:]...), mine)
	return appendSized(dst, "names certificate", m.NamesCert, MaxNamesCert)
}

// ParseClaimOK reads the body of a message. It does not look into the certificate.
func ParseClaimOK(b []byte) (ClaimOK, error) {
	c := cursor{frame: "claim-ok", b: b}
	m := ClaimOK{ID: c.id()}
	mine := c.u8("mine")
	if c.err == nil && mine > 1 {
		c.fail("mine", ErrBadValue)
	}
	m.Mine = mine == 1
	m.NamesCert = c.sized("names certificate", 0, MaxNamesCert)
	if err := c.end(); err != nil {
		return ClaimOK{}, err
	}
	return m, nil
}
