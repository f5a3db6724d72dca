// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"strings"
	"testing"
	"time"
)

// rtspServer is a camera: GStreamer's RTSP server with a test picture as motion JPEG. Its RTP
// leaves from ports of a fixed range, because a tunnel has to name them.
const rtspServer = `
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(service="8554")
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch("( videotestsrc is-live=1"
    " ! video/x-raw,format=I420,width=640,height=480,framerate=50/1"
    " ! jpegenc ! rtpjpegpay name=pay0 )")
pool = GstRtspServer.RTSPAddressPool()
pool.add_range("0.0.0.0", "0.0.0.0", 6970, 6973, 0)
pool.add_range("::", "::", 6970, 6973, 0)
factory.set_address_pool(pool)
server.get_mount_points().add_factory("/picture", factory)
server.attach(None)
GLib.MainLoop().run()
`

// rtspTargets are the ports of that camera: RTSP itself, and those its RTP and RTCP come from.
// ffmpeg sends the first datagrams to them, and so opens the flows that the camera then answers.
const rtspTargets = "tcp:8554,udp:6970,udp:6971,udp:6972,udp:6973"

func TestFfmpegPullsVideoOverTCPAndOverUDP(t *testing.T) {
	n := clients(t, "ffmpeg", "/usr/bin/python3")
	n.w.NeedFiles("/usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib",
		"/usr/lib/*/gstreamer-1.0/libgstjpeg.so", "/usr/lib/python3/dist-packages/gi/__init__.py")
	for _, host := range []string{"gateway", "camera"} {
		n.serves(n.python(host, "rtsp.py", rtspServer), host, "8554")
	}
	n.regular("near", rtspTargets)
	n.external("beside", rtspTargets)
	const frames, least = "120", 100
	for _, name := range []string{"near", "beside"} {
		for _, transport := range []string{"tcp", "udp"} {
			begin := time.Now()
			// framecrc prints a line for each frame that was decoded.
			out := n.at("technician", "ffmpeg", "-nostdin", "-loglevel", "error",
				"-rtsp_transport", transport, "-i", "rtsp://"+name+":8554/picture",
				"-frames:v", frames, "-f", "framecrc", "-")
			decoded := 0
			for line := range strings.Lines(out) {
				if !strings.HasPrefix(line, "#") {
					decoded++
				}
			}
			if decoded < least {
				t.Errorf("%s over %s: %d frames were decoded, want %d\n%s", name, transport,
					decoded, least, n.drops())
			}
			t.Logf("%s over %s: %d frames in %v", name, transport, decoded, time.Since(begin))
		}
	}
}
