// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
)

// manyServer is Python's web server with room for many who knock at once.
const manyServer = `
import http.server, os
os.chdir("/run/files")
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass
Server(("", 8000), Quiet).serve_forever()
`

func TestFourHundredConnectionsAtOnceAllEnd(t *testing.T) {
	n := clients(t, "curl", "/usr/bin/python3")
	n.at("gateway", "mkdir", "-p", "/run/files")
	n.serves(n.python("gateway", "many.py", manyServer), "gateway", "8000")
	n.regular("files", "tcp:8000")
	n.at("gateway", "sh", "-c", "head -c 100000 /dev/urandom >/run/files/small")
	want := n.hash("gateway", "/run/files/small")
	n.at("technician", "curl", "-sSf", "--parallel", "--parallel-immediate",
		"--parallel-max", "300", "-o", "/tmp/got-#1", "http://files:8000/small?[1-400]")
	sums := n.at("technician", "sh", "-c", "sha256sum /tmp/got-*")
	if got := strings.Count(sums, want); got != 400 {
		t.Errorf("%d of 400 files arrived unharmed\n%s", got, n.drops())
	}
}

// lossy loses one packet, or run of packets, in thirty.
const lossy = `
table inet lossy {
	chain through {
		type filter hook forward priority filter
		meta l4proto udp numgen random mod 30 == 0 drop
	}
}
`

func TestABadLineHarmsNoFile(t *testing.T) {
	n := clients(t, "curl")
	for _, router := range []string{"homenat", "officenat"} {
		n.w.Host(router).Rules(lossy)
	}
	n.web("gateway", "8000")
	n.web("camera", "8000")
	n.regular("files", "tcp:8000")
	n.external("recorder", "tcp:8000")
	own := n.file("gateway", "/run/files/big", bulk)
	beside := n.file("camera", "/run/files/big", bulk)
	n.fetches("-4", "technician", "http://files:8000/big", own)
	n.fetches("-4", "technician", "http://recorder:8000/big", beside)
}
