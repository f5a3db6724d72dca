// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// web serves files of a host's /run/files on a port.
func (n *net) web(host, port string) {
	n.t.Helper()
	n.at(host, "mkdir", "-p", "/run/files")
	n.serves(n.w.Host(host).Start("busybox", "httpd", "-f", "-p", port, "-h", "/run/files"),
		host, port)
}

// fetches gets a big file with curl, over IPv4 or IPv6 ("-4" or "-6"), and compares the hash.
func (n *net) fetches(family, host, url, want string) {
	n.t.Helper()
	begin := time.Now()
	n.at(host, "curl", family, "-sSf", "--retry", "5", "--retry-connrefused",
		"--connect-timeout", "5", "-o", "/tmp/got", url)
	n.report("curl "+family+" "+url, bulk, time.Since(begin))
	if got := n.hash(host, "/tmp/got"); got != want {
		n.t.Errorf("curl %s %s: the file arrived as %s, want %s", family, url, got, want)
	}
}

func TestCurlFetchesBigFilesUnharmed(t *testing.T) {
	n := clients(t, "curl")
	for _, host := range []string{"gateway", "camera"} {
		n.web(host, "8000")
	}
	n.regular("files", "tcp:8000")
	n.external("recorder", "tcp:8000")
	own := n.file("gateway", "/run/files/big", bulk)
	beside := n.file("camera", "/run/files/big", bulk)
	n.fetches("-4", "technician", "http://files:8000/big", own)
	n.fetches("-6", "technician", "http://files:8000/big", own)
	n.fetches("-4", "technician", "http://recorder:8000/big", beside)
	n.at("technician", "sh", "-c", "curl -sSf http://files:8000/big & "+
		"curl -sSf http://recorder:8000/big >/dev/null; wait $!")
}

// sshd is the configuration of a server that lets root in with one key.
const sshd = `Port 22
HostKey /etc/ssh/host
AuthorizedKeysFile /etc/ssh/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
Subsystem sftp internal-sftp
`

func TestOpenSSHCopiesFilesBothWaysAndRunsCommands(t *testing.T) {
	n := clients(t, "ssh", "scp", "sshd", "ssh-keygen")
	n.w.NeedUsers()
	gateway, technician := n.w.Host("gateway"), n.w.Host("technician")
	gateway.WriteFile("/etc/ssh/sshd_config", sshd)
	n.at("gateway", "mkdir", "-p", "/run/sshd")
	n.at("gateway", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/host")
	n.at("technician", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/tmp/key")
	gateway.WriteFile("/etc/ssh/authorized", technician.ReadFile("/tmp/key.pub"))
	n.serves(gateway.Start("/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/sshd_config"),
		"gateway", "22")
	n.regular("shell", "tcp:22")

	technician.WriteFile("/etc/ssh/ssh_config", "Host *\n IdentityFile /tmp/key\n BatchMode yes\n"+
		" StrictHostKeyChecking accept-new\n UserKnownHostsFile /tmp/known\n ConnectTimeout 20\n")
	if got := n.at("technician", "ssh", "root@shell", "hostname; cat /etc/hostname"); !strings.
		Contains(got, "gateway") {
		t.Errorf("ssh ran its command elsewhere: %q", got)
	}
	want := n.file("technician", "/tmp/up", bulk)
	begin := time.Now()
	n.at("technician", "scp", "-q", "/tmp/up", "root@shell:/tmp/there")
	n.report("scp", bulk, time.Since(begin))
	if got := n.hash("gateway", "/tmp/there"); got != want {
		t.Errorf("scp: the file arrived as %s, want %s", got, want)
	}
	n.at("technician", "scp", "-q", "root@shell:/tmp/there", "/tmp/back")
	if got := n.hash("technician", "/tmp/back"); got != want {
		t.Errorf("scp: the file came back as %s, want %s", got, want)
	}
	n.at("technician", "sh", "-c", "ssh root@shell 'cat /tmp/there' >/tmp/piped")
	if got := n.hash("technician", "/tmp/piped"); got != want {
		t.Errorf("ssh: the file came through a pipe as %s, want %s", got, want)
	}
}

// iperf is what we read of iperf3's report.
type iperf struct {
	Error string
	End   struct {
		SumReceived struct {
			Bytes   int
			Seconds float64
		} `json:"sum_received"`
	}
}

func TestIperf3MovesBytesOverTCPAndUDPBothWays(t *testing.T) {
	n := clients(t, "iperf3")
	n.serves(n.w.Host("gateway").Start("iperf3", "-s", "-p", "5201"), "gateway", "5201")
	n.regular("speed", "tcp:5201,udp:5201")
	for _, args := range []string{
		"-4 -t 2", "-6 -t 2", "-4 -t 2 -R", "-4 -t 2 -P 4",
		"-4 -u -b 50M -t 1", "-6 -u -b 50M -t 1 -R", "-4 -u -b 0 -t 2",
		"-4 -u -b 20M -t 1 -l 1400", "-6 -u -b 20M -t 1 -l 8000 -R",
	} {
		out := n.at("technician", append([]string{"iperf3", "-J", "-c", "speed"},
			strings.Fields(args)...)...)
		var r iperf
		if err := json.Unmarshal([]byte(out), &r); err != nil || r.Error != "" {
			t.Errorf("iperf3 %s: %v %s", args, err, r.Error)
		}
		got := r.End.SumReceived
		if got.Bytes < 100_000 {
			t.Errorf("iperf3 %s: %d bytes arrived", args, got.Bytes)
		}
		n.report("iperf3 "+args, got.Bytes, time.Duration(got.Seconds*float64(time.Second)))
	}
}

func TestADeviceWithAPrivateIPv6AddressIsReached(t *testing.T) {
	n := clients(t, "curl")
	for host, address := range map[string]string{"gateway": "fd12::2", "camera": "fd12::10"} {
		n.at(host, "ip", "addr", "add", address+"/64", "dev", "eth0", "nodad")
		n.web(host, "8000")
	}
	n.mirror("camera", "7")
	n.home.Tunnel(n.w.Host("gateway"), n.w.Host("technician"), "six", n.ids["technician"],
		"--targets", "tcp:8000,udp:7", "--external-ip-address", "fd12::10")
	want := n.file("camera", "/run/files/big", bulk)
	n.fetches("-6", "technician", "http://six:8000/big", want)
	n.mirrored("["+n.address6("six")+"]:7",
		[]int{1, 1200, 1300, 1400, 1452, 1453, 3000, 9000})
}
