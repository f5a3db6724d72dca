// SPDX-License-Identifier: Apache-2.0

// Package drop is the list of reasons for which a packet, frame or message is not passed on.
// It names reasons; it never counts them and never decides which one applies.
package drop

import "strconv"

// Reason says why something was dropped. A thing that is dropped has exactly one Reason, and each
// Reason has one counter and one line in docs/drops.md. The numbers are internal: they are indices
// of counters and never travel on a wire. None means "not dropped".
type Reason uint8

// The reasons, in the order in which a packet meets them: underlay, link and session, inner packet,
// tunnel, path, control.
const (
	None Reason = iota // not dropped

	Short        // fewer bytes than the fixed part of the header needs
	BadType      // frame type that this version does not know
	Oversized    // datagram longer than any that is sent, or a run of them that is none
	UnknownLabel // label for which there is no row
	WrongSource  // known label, but not from the address its link lives at
	BadMac       // mac1, mac2 or another MAC of a handshake or message that does not verify
	HopMac       // data frame under a label with junk on it whose hop MAC is wrong or missing
	Unproven     // more than may go to a neighbour's new address before it has answered there
	Stranger     // datagram from an address without a link that starts no handshake

	Replay      // counter seen before, or older than the replay window
	OpenFailed  // authentication tag does not verify
	Epoch       // counter further ahead than a receiver may derive keys for
	NoSession   // no session with this peer, and none may be started
	BadContext  // context byte or compact header that is malformed, reserved or not canonical
	UnknownSlot // flow slot that was never announced on this session
	NoReference // TCP header that is a difference to one that is not held, or not any more
	BadPart     // part that contradicts the other parts of its packet

	BadOffload      // device offload header that disagrees with its packet
	NoDevice        // packet that the device did not take: it is down, or somebody deleted it
	BadIP           // IP header that is malformed or whose length is not the packet's length
	IPOptions       // IPv4 options
	Fragment        // fragment of an IPv4 or IPv6 packet
	ExtensionHeader // IPv6 extension header other than the fragment header
	Protocol        // transport protocol other than UDP, TCP and ICMP
	BadTransport    // UDP, TCP or ICMP header that is malformed or whose length is wrong
	ICMPType        // ICMP message other than an echo or an error that crosses tunnels
	BadQuote        // ICMP error that quotes no packet a tunnel carries
	BadChecksum     // IP header or transport checksum that is wrong
	Multicast       // destination is a multicast group
	Broadcast       // destination is the limited broadcast address
	Martian         // source or destination that no packet on a wire may have
	TooBig          // packet that does not fit the path and may not be cut

	NoLease        // address that belongs to no key
	NoTunnel       // no tunnel with this key
	TunnelDisabled // tunnel that is switched off, pending or expired
	NoPort         // port or protocol that is no target of the tunnel
	NoFlow         // answer to a flow that nobody opened, or an ICMP error about one
	ErrorRate      // more ICMP errors than may cross one tunnel

	NoRoute   // destination that neither this node nor its parent can reach
	HopLimit  // path set-up that has passed too many relays
	Quota     // more than this link, key or network may have
	QueueFull // bounded queue that is full
	Late      // what has waited for a slow link until it was of no use

	BadFrame     // frame or message that does not parse
	BadSignature // signature that does not verify
	NotAdmitted  // key whose network is not admitted here
	StaleRecord  // record older than the one already held
	Revoked      // key that its network has taken back
	Churn        // change of a record or a tunnel that changes all the time
	Cloned       // key that shows up at two places by turns
	Quarantine   // what a neighbour with an expired certificate may not do, or too much of it

	// Count is the number of reasons, None included: the size of an array of counters.
	Count = iota
)

// names are the words used in counters, logs and docs/drops.md.
var names = [Count]string{
	None: "none",

	Short:        "short",
	BadType:      "bad-type",
	Oversized:    "oversized",
	UnknownLabel: "unknown-label",
	WrongSource:  "wrong-source",
	BadMac:       "bad-mac",
	HopMac:       "hop-mac",
	Unproven:     "unproven",
	Stranger:     "stranger",

	Replay:      "replay",
	OpenFailed:  "open-failed",
	Epoch:       "epoch",
	NoSession:   "no-session",
	BadContext:  "bad-context",
	UnknownSlot: "unknown-slot",
	NoReference: "no-reference",
	BadPart:     "bad-part",

	BadOffload:      "bad-offload",
	NoDevice:        "no-device",
	BadIP:           "bad-ip",
	IPOptions:       "ip-options",
	Fragment:        "fragment",
	ExtensionHeader: "extension-header",
	Protocol:        "protocol",
	BadTransport:    "bad-transport",
	ICMPType:        "icmp-type",
	BadQuote:        "bad-quote",
	BadChecksum:     "bad-checksum",
	Multicast:       "multicast",
	Broadcast:       "broadcast",
	Martian:         "martian",
	TooBig:          "too-big",

	NoLease:        "no-lease",
	NoTunnel:       "no-tunnel",
	TunnelDisabled: "tunnel-disabled",
	NoPort:         "no-port",
	NoFlow:         "no-flow",
	ErrorRate:      "error-rate",

	NoRoute:   "no-route",
	HopLimit:  "hop-limit",
	Quota:     "quota",
	QueueFull: "queue-full",
	Late:      "late",

	BadFrame:     "bad-frame",
	BadSignature: "bad-signature",
	NotAdmitted:  "not-admitted",
	StaleRecord:  "stale-record",
	Revoked:      "revoked",
	Churn:        "churn",
	Cloned:       "cloned",
	Quarantine:   "quarantine",
}

// String returns the reason's name: lower case words joined by hyphens, at most 16 bytes long.
// A value that is no reason prints as "reason-N".
func (r Reason) String() string {
	if int(r) < len(names) {
		return names[r]
	}
	return "reason-" + strconv.Itoa(int(r))
}
