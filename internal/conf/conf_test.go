// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"staex/internal/ident"
)

const (
	idA = "4cc9pkyvvj6accsnc3ac79wy7zstw25cra7ka596tc3a8sg7k5ag"
	idB = "kd2npmmtvp6p02v7yhgqjdpg58xs9v2sw19k2a8skz4vbdqq1f50"
)

// networkKey is some valid network key.
func networkKey() ident.NetworkKey {
	return ident.SecretFromSeed([32]byte{7}).NetworkKey()
}

// cmpConfig compares everything a user of a Config can see.
var cmpConfig = cmp.Options{
	cmpopts.IgnoreUnexported(Config{}, Tunnel{}),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// manualKeys are the keys of a kind of file and their defaults in the table of the manual.
func manualKeys(t *testing.T, owner string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "test", "manual.txt"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if strings.TrimSpace(cells[0]) == "key" && strings.TrimSpace(cells[1]) == owner {
			all[strings.TrimSpace(cells[2])] = strings.TrimSpace(cells[4])
		}
	}
	if len(all) < 5 {
		t.Fatalf("the table of the manual has only %d keys of %s", len(all), owner)
	}
	return all
}

func TestEveryKeyOfTheManualIsKnownWithItsDefault(t *testing.T) {
	ours := map[string]string{ // where the product decided otherwise
		"listen-addr":      ":9376", // IPv4 and IPv6
		"unix-socket-path": "",      // a pair of paths
		"cert-update-addr": "",      // nobody is called unasked
	}
	known := make(map[string]string)
	for i := range mainKeys {
		k := &mainKeys[i]
		known[k.name] = k.get(Default("/etc/mcc"))
	}
	for key, want := range manualKeys(t, "mcc.conf") {
		if other, deviates := ours[key]; deviates {
			want = other
		}
		if want == "60s" {
			want = "1m" // the same time
		}
		if got, there := known[key]; !there || got != want {
			t.Errorf("%s: default %q (known: %v), the manual says %q", key, got, there, want)
		}
	}
}

func TestEveryKeyOfTheManualsTunnelFileIsKnownWithItsDefault(t *testing.T) {
	manual := manualKeys(t, "tunnel file")
	for _, k := range TunnelKeys() {
		if want, there := manual[k.Name]; !there || want != k.Default {
			t.Errorf("%s: default %q, the manual says %q (%v)", k.Name, k.Default, want, there)
		}
	}
	if len(manual) != len(TunnelKeys()) {
		t.Errorf("%d keys, the manual has %d", len(TunnelKeys()), len(manual))
	}
}

func TestTheReferenceFileHoldsEveryKeyAndParsesToTheDefaults(t *testing.T) {
	got, err := Parse([]byte(Reference()), "/srv/x/mcc.conf", "/srv/x")
	if err != nil {
		t.Fatal(err)
	}
	warned := got.Warnings
	got.Warnings = nil
	if diff := cmp.Diff(Default("/srv/x"), got, cmpConfig); diff != "" {
		t.Error(diff)
	}
	if len(warned) != 1 || warned[0].Key != "dependent-nodes" {
		t.Errorf("warnings %v", warned)
	}
	for _, k := range Keys() {
		if n := strings.Count(Reference(), "\n"+line(k.Name, k.Default)+"\n"); n != 1 {
			t.Errorf("%s is in the reference %d times", k.Name, n)
		}
		if k.Doc == "" {
			t.Errorf("%s is not explained", k.Name)
		}
	}
	for line := range strings.Lines(Reference()) {
		if len(line) > 90 {
			t.Errorf("line too long for a terminal: %s", line)
		}
	}
}

func TestKeysAreUniqueAndUnbuiltOnesAreKnown(t *testing.T) {
	seen := make(map[string]bool)
	for _, k := range Keys() {
		if seen[k.Name] {
			t.Errorf("%s is listed twice", k.Name)
		}
		seen[k.Name] = true
	}
	for _, m := range unbuilt {
		if !seen[m.key] {
			t.Errorf("unbuilt key %s is not a key", m.key)
		}
	}
}

func TestDefaultsFollowTheDirectoryAndFilePathsFollowTheFile(t *testing.T) {
	c, err := Parse([]byte("node-private-key = keys/k.txt\n"), "/srv/conf/my.conf", "/srv/a")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/srv/conf/keys/k.txt", "/srv/a/node-certificate.txt", "/srv/a/tunnels"}
	got := []string{c.Certs.PrivateKey, c.Certs.Node, c.Tunnels.Dir}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c, err = Parse([]byte("tunnels = t\n"), "mcc.conf", "/srv/a"); err != nil {
		t.Fatal(err)
	}
	if c.Tunnels.Dir != "/srv/a/t" {
		t.Errorf("with a bare file name: %s", c.Tunnels.Dir)
	}
}

func TestAFullFileIsUnderstood(t *testing.T) {
	text := "\ufeff# all of it\r\n" +
		"listen-addr = [::]:1000\r\n" +
		"parents = public.example.org, 10.0.0.1:99, [2001:db8::1]:5, " + idA + "@10.0.0.2\n" +
		"  keep-alive-period=auto   # a comment\n" +
		"rejoin-period = 1h30m\n" +
		"resolver.mac-address-mask = 02:11:00:00:00:00\n" +
		"resolver.domain = Lab.Example\n" +
		"resolver.ttl = 30\n" +
		"unix-socket-path = run/sock\n" +
		"tags = site-4, roof\n" +
		"network-certificates = a.txt, /b.txt\n" +
		"trusted-nodes = " + idA + ", " + strings.ToUpper(idB) + "\n" +
		"trusted-networks = " + networkKey().String() + "\n" +
		"accept-tunnels = manual\nmetrics-listen = run/metrics\n" +
		"log-level = trace\nlog-file = /var/log/mcc.log\n"
	c, err := Parse([]byte(text), "/etc/mcc/mcc.conf", "/etc/mcc")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := ident.ParseNodeID(idA)
	b, _ := ident.ParseNodeID(idB)
	want := Default("/etc/mcc")
	want.Link.Listen = netip.MustParseAddrPort("[::]:1000")
	want.Link.Parents = []Parent{
		{Host: "public.example.org", Port: 9376},
		{Host: "10.0.0.1", Port: 99},
		{Host: "2001:db8::1", Port: 5},
		{Pin: a, Host: "10.0.0.2", Port: 9376},
	}
	want.Link.KeepAlive, want.Link.KeepAliveAuto = 0, true
	want.Link.Rejoin = 90 * time.Minute
	want.Resolver.MAC = [6]byte{2, 0x11}
	want.Resolver.Domain = ".lab.example"
	want.Resolver.TTL = 30 * time.Second
	want.Socket.Path = "/etc/mcc/run/sock"
	want.Node.Tags = []string{"site-4", "roof"}
	want.Certs.Networks = []string{"/etc/mcc/a.txt", "/b.txt"}
	want.Trust.Nodes = []ident.NodeID{a, b}
	want.Trust.Networks = []ident.NetworkKey{networkKey()}
	want.Tunnels.Accept, want.Process.Metrics = "manual", "/etc/mcc/run/metrics"
	want.Log = Log{Level: "trace", File: "/var/log/mcc.log"}
	if diff := cmp.Diff(want, c, cmpConfig); diff != "" {
		t.Error(diff)
	}
}

func TestAllProblemsAreListedAtOnceWithTheirLines(t *testing.T) {
	text := "parnets = 10.0.0.1\n" +
		"\n" +
		"log-level = loud\n" +
		"rejoin-period = 1m\n" +
		"rejoin-period = 2m\n" +
		"just words\n" +
		"compression = lz4\n" +
		"resolver.ipv4-network = 10.0.0.0/8\n"
	_, err := Parse([]byte(text), "mcc.conf", "/etc/mcc")
	want := `mcc.conf:1: unknown key "parnets", did you mean "parents"?
mcc.conf:3: log-level: "loud" is not one of: off, error, warn, info, debug, trace
mcc.conf:5: rejoin-period is set twice, on line 4 and on line 5
mcc.conf:6: "just words" is not of the form key = value
mcc.conf:7: compression: compression of tunnelled packets is not available in this ` +
		`version; remove the line or write "compression = none"`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	_, err = Parse([]byte("\n\nresolver.ipv4-network = 10.0.0.0/8\n"), "mcc.conf", "/etc/mcc")
	want = "mcc.conf:3: resolver.ipv4-network: 10.0.0.0/8 overlaps 10.115.0.0/16, " +
		"the range of static addresses"
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestABooleanKeyAloneMeansTrue(t *testing.T) {
	text := "dnsmasq-enable\nunix-enable # the manual prints them so\n"
	c, err := Parse([]byte(text), "mcc.conf", "/etc/mcc")
	if err != nil || c.Dnsmasq.Enable != "true" || !c.Socket.Enable {
		t.Errorf("%v", err)
	}
	for _, line := range []string{"dnsmasq-restart-command", "gateway", "parents"} {
		if _, err := Parse([]byte(line), "mcc.conf", "/etc/mcc"); err == nil {
			t.Errorf("%s alone was taken for something", line)
		}
	}
}

func TestAWrongValueIsRefusedWithAReason(t *testing.T) {
	for _, c := range []struct{ line, says string }{
		{"listen-addr = 9376", "neither ip:port nor :port"},
		{"listen-addr = :99999", "neither ip:port nor :port"},
		{"listen-addr = host:1", "neither ip:port nor :port"},
		{"parents = a b", "neither an address nor a host name"},
		{"parents = 1.2.3.4:0", "port 0"},
		{"parents = a, a:9376", "listed twice"},
		{"parents = a,,b", "item of the list is empty"},
		{"parents-resolve-period = 10", "not a duration"},
		{"parents-resolve-period = 10ns", "not a duration"},
		{"parents-resolve-period = 10ms", "not between 1s and 8784h"},
		{"parents-resolve-period = -10s", "not a duration"},
		{"keep-alive-period = 19h", "longer than 18h"},
		{"keep-alive-period = often", "or auto"},
		{"metrics-listen = :9100", "write 127.0.0.1:9100 for this machine alone"},
		{"metrics-listen = localhost", "neither ip:port nor the path"},
		{"metrics-listen = 127.0.0.1:0", "neither ip:port nor the path"},
		{"resolver.ipv4-network = 10.83.0.1/16", "did you mean 10.83.0.0/16"},
		{"resolver.ipv4-network = 10.83.0.0/30", "from /8 to /29"},
		{"resolver.ipv4-network = 200::/7", "not a range"},
		{"resolver.ipv6-network = fd00::/127", "from /7 to /112"},
		{"resolver.mac-address-mask = 00:00:00:00:00:00", "second digit"},
		{"resolver.mac-address-mask = AF:00:00:00:00:00", "second digit"},
		{"resolver.mac-address-mask = AE:00:00:00:00:01", "last three bytes"},
		{"resolver.mac-address-mask = AE", "not a MAC address"},
		{"resolver.domain = .", "not a domain"},
		{"resolver.domain = a_!", "not a domain"},
		{"resolver.ttl = 1m", "not a number of seconds"},
		{"unix-enable = yes", "neither true nor false"},
		{"data-dir =", "path is missing"},
		{"network-certificates =", "path is missing"},
		{"tun-device-name = abcdefghijklmnop", "longer than 15"},
		{"tun-device-name = a/b", "not one word"},
		{"tun-device-name =", "not one word"},
		{"tun-device-mtu = 1279", "from 1280 to 65535"},
		{"dns-addr = 8353", "not of the form ip:port"},
		{"cert-update-addr = cas.example", "not of the form host:port"},
		{"cert-update-addr = cas.staex.io:8081", "renewal of certificates is not available"},
		{"dns-names = wpad", "not a permitted name"},
		{"dns-names = a.b", "without a domain"},
		{"static-addr = 10.116.0.1", "not an address of 10.115.0.0/16"},
		{"static-addr = 10.115.0.0", "stands for the whole range"},
		{"static-addr = 10.115.255.255/16", "stands for the whole range"},
		{"static-addr = 10.115.0.1/24", "not an address of"},
		{"network-lookup-ttl = 0", "from 1 to 255"},
		{"gateway = " + idA[1:], "not a node id"},
		{"gateway = " + idA, "the gateway is not available"},
		{"reroute-dns = " + idA, "not of the form node-id:port"},
		{"reroute-dns = " + idA + ":x", "not a port"},
		{"reroute-dns = " + idA + ":0", "port 0"},
		{"trusted-nodes = x", "not a node id"},
		{"trusted-networks = x", "not a network public key"},
		{"ssl-certificates = a.pem, a.pem", "listed twice"},
		{"tags = a b", "not one word"},
		{"user = a b", "not one word"},
		{"log-file = a\x00b", "is not text"},
		{"log-file = a\xffb", "is not text"},
		{"= 1", "unknown key"},
		{strings.Repeat("k", 1000) + " = 1", "kkkk..."},
		{"tags = " + strings.Repeat("t,", 300) + "t", "301 items"},
	} {
		_, err := Parse([]byte(c.line+"\n"), "mcc.conf", "/etc/mcc")
		var list *ProblemList
		if !errors.As(err, &list) || len(list.Problems) != 1 ||
			!strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: got %v, want one problem with %q", c.line, err, c.says)
		}
	}
}

func TestUnbuiltKeysAreAcceptedAtTheirDefaultAndWhenTurnedOff(t *testing.T) {
	for _, line := range []string{
		"compression = none", "kill-switch = false", "nat-table-expiry = 60s",
		"nat-table-expiry = 1m", "static-addr = 10.115.0.0/16", "gateway =",
		"cert-update-enable = false", "dnsmasq-enable = false",
		"forwarding-rules = forwarding-rules.conf", "gateway-post-add-hook = # nothing",
	} {
		_, err := Parse([]byte(line), "/etc/mcc/mcc.conf", "/etc/mcc")
		if shell := strings.Contains(line, "hook"); (err != nil) != shell {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestAnEndlessFileIsReadOnlySoFar(t *testing.T) {
	_, err := Parse(slices.Repeat([]byte("x\n"), 5000), "f", "/")
	var list *ProblemList
	if !errors.As(err, &list) || len(list.Problems) != maxProblems+1 {
		t.Fatalf("got %v", err)
	}
	if _, err = Parse(make([]byte, MaxFileSize+1), "f", "/"); !errors.As(err, &list) {
		t.Fatalf("got %v", err)
	}
}

func TestADurationSurvivesFormatting(t *testing.T) {
	for _, text := range []string{"1s", "59s", "2m", "1h", "24h", "1h30m", "1h0m5s", "1m10s"} {
		d, err := ParseDuration(text)
		if err != nil || FormatDuration(d) != text {
			t.Errorf("%s became %s, %v", text, FormatDuration(d), err)
		}
	}
}

// distanceTwin is the recursive definition of the edit distance.
func distanceTwin(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	change := distanceTwin(a[1:], b[1:])
	if a[0] != b[0] {
		change++
	}
	return min(change, distanceTwin(a[1:], b)+1, distanceTwin(a, b[1:])+1)
}

func TestTheEditDistanceAgreesWithItsDefinition(t *testing.T) {
	words := []string{"", "a", "ab", "ba", "abcd", "acbd", "xabc", "abcx", "parent", "parnet"}
	for _, a := range words {
		for _, b := range words {
			if got, want := distance(a, b), distanceTwin(a, b); got != want {
				t.Errorf("distance(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Reference()))
	f.Add([]byte("parents = " + idA + "@[::1]:5, x\nreroute-dns = " + idB + ":53\n# c\n"))
	f.Add([]byte("log-level = x\nlog-level = y\nz\n\x00 = 1\nresolver.ipv4-network = 0.0.0.0/0"))
	f.Add([]byte("static-addr = 10.115.1.1/16\ndns-names = a, b\nkeep-alive-period = auto"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, "/d/mcc.conf", "/d")
		var list *ProblemList
		if err != nil && (c != nil || !errors.As(err, &list) || len(list.Problems) == 0) {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil {
			return
		}
		var again strings.Builder // what was read, written canonically, reads the same
		for i := range mainKeys {
			again.WriteString(line(mainKeys[i].name, mainKeys[i].get(c)) + "\n")
		}
		twin, err := Parse([]byte(again.String()), "/d/mcc.conf", "/d")
		if err != nil {
			t.Fatalf("%v\n%s", err, again.String())
		}
		twin.Warnings = c.Warnings
		if diff := cmp.Diff(c, twin, cmpConfig, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
