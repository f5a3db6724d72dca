// SPDX-License-Identifier: Apache-2.0

package wire

// Types of session messages, which travel between the two ends of a session. Numbers are
// never reused. A type that is not known is counted and dropped.
const (
	SessionConfirm     = 1  // Confirm
	SessionSlotOK      = 2  // SlotOK
	SessionSlotUnknown = 3  // SlotUnknown
	SessionOffer       = 4  // Offer
	SessionAccept      = 5  // Accept
	SessionReject      = 6  // Reject
	SessionPending     = 7  // Pending
	SessionSwitch      = 8  // Switch
	SessionSwitchOK    = 9  // SwitchOK
	SessionClose       = 10 // Close
	SessionHello       = 11 // Hello
	SessionClaim       = 20 // Claim
	SessionClaimOK     = 21 // ClaimOK
	SessionWantList    = 30 // WantList
	SessionListPart    = 31 // ListPart
	SessionRefsLost    = 40 // RefsLost
	SessionKEMKey      = 50 // KEMKey
	SessionKEMAnswer   = 51 // KEMAnswer
	SessionFlowUnknown = 60 // FlowUnknown
	SessionFlow        = 61 // Flow
)

// SessionContext is the context byte of a session message: kind control, all else zero.
const SessionContext = 0

// SessionHeaderSize is the size of the context byte and the type, in bytes.
const SessionHeaderSize = 2

// SessionMessage is the plaintext of a data frame that carries no inner packet: one
// message from one end of the session to the other.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|  context (0)  |     type      |  body ... to the end          |
//	+---------------+---------------+-------------------------------+
//
//	offset  size  field
//	0       1     context byte, 0
//	1       1     type of the message
//	2       rest  body
type SessionMessage struct {
	Type uint8  // SessionConfirm and so on; never 0
	Body []byte // to the end of the plaintext
}

// Append appends the encoded plaintext to dst.
func (m SessionMessage) Append(dst []byte) []byte {
	return append(append(dst, SessionContext, m.Type), m.Body...)
}

// AppendSession appends the header of a session message to dst. The caller appends the
// body, which ends the plaintext.
func AppendSession(dst []byte, typ uint8) []byte { return append(dst, SessionContext, typ) }

// ParseSession reads the plaintext of a data frame. It does not judge the type, other
// than that 0 is none.
func ParseSession(b []byte) (SessionMessage, error) {
	c := cursor{frame: "session", b: b}
	if context := c.u8("context"); context != SessionContext {
		c.fail("context", ErrBadValue)
	}
	m := SessionMessage{Type: c.u8("type")}
	if c.err == nil && m.Type == 0 {
		c.fail("type", ErrBadType)
	}
	m.Body = c.rest("body", 0, MaxDatagram)
	if err := c.end(); err != nil {
		return SessionMessage{}, err
	}
	return m, nil
}
