// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"staex/test/world"
)

// modbusServer is a controller with a hundred registers that hold their own numbers.
const modbusServer = `
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartTcpServer
block = ModbusSequentialDataBlock(1, list(range(100)))
slave = ModbusSlaveContext(hr=block)
StartTcpServer(context=ModbusServerContext(slaves=slave, single=True), address=("0.0.0.0", 502))
`

// python starts a script with Debian's Python, where Debian's modules are.
func (n *net) python(host, name, script string) *world.Process {
	n.t.Helper()
	n.w.Host(host).WriteFile("/run/"+name, script)
	return n.w.Host(host).Start("/usr/bin/python3", "/run/"+name)
}

func TestModbusAnswersAThousandPolls(t *testing.T) {
	n := clients(t, "mbpoll", "/usr/bin/python3")
	n.w.NeedFiles("/usr/lib/python3/dist-packages/pymodbus/__init__.py",
		"/usr/lib/python3/dist-packages/serial_asyncio/__init__.py") // its server needs it
	n.serves(n.python("camera", "modbus.py", modbusServer), "camera", "502")
	n.external("plc", "tcp:502")
	address := n.address("technician", "plc").String()
	const polls = 1000
	p := n.w.Host("technician").Start("stdbuf", "-oL",
		"mbpoll", "-m", "tcp", "-t", "4", "-r", "8", "-c", "3", "-l", "11", "-o", "5", address)
	n.w.Until("mbpoll has polled a thousand times", patience, func() bool {
		return strings.Count(p.Log(), "[10]:") >= polls || !p.Running()
	})
	if err := unix.Kill(p.PID(), unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.Wait(patience)
	log := p.Log()
	if got := strings.Count(log, "[10]: \t9\n"); got < polls {
		t.Errorf("register 10 was read %d times as 9:\n%s", got, p.Tail())
	}
	// "1012 frames transmitted, 1012 received, 0 errors, 0.0% frame loss"
	if !strings.Contains(log, " 0 errors") {
		t.Errorf("mbpoll met errors:\n%s", p.Tail())
	}
}

func TestMQTTLosesNoneOfAThousandMessages(t *testing.T) {
	n := clients(t, "mosquitto", "mosquitto_pub", "mosquitto_sub")
	const messages = 1000
	n.w.Host("camera").WriteFile("/etc/mosquitto.conf",
		"listener 1883\nallow_anonymous true\nuser root\nmax_queued_messages 0\n")
	n.serves(n.w.Host("camera").Start("mosquitto", "-c", "/etc/mosquitto.conf"), "camera", "1883")
	n.external("broker", "tcp:1883")
	broker := []string{"-h", "broker", "-t", "meter/1", "-q", "1"}
	sub := append([]string{"mosquitto_sub", "-i", "reader", "-c"}, broker...)
	n.at("technician", append(sub, "-E")...) // subscribes and leaves: the broker keeps for it
	reader := n.w.Host("technician").Start(append(sub, "-C", strconv.Itoa(messages))...)

	var sent strings.Builder
	for i := range messages {
		fmt.Fprintf(&sent, "message %d of %d\n", i, messages)
	}
	n.fed("technician", sent.String(), append([]string{"mosquitto_pub", "-l"}, broker...)...)
	if code := reader.Wait(patience); code != 0 || reader.Log() != sent.String() {
		t.Errorf("mosquitto_sub ended with %d after %d lines, want %d in order\n%s", code,
			strings.Count(reader.Log(), "\n"), messages, reader.Tail())
	}
}

// snmpdConf is an agent that everybody may read.
const snmpdConf = `agentaddress udp:161,udp6:161
rocommunity public default
rocommunity6 public default
syslocation "cellar of the gateway"
`

func TestSNMPIsReadOverUDP(t *testing.T) {
	n := clients(t, "snmpd", "snmpget", "snmpbulkget", "snmpwalk")
	for _, host := range []string{"gateway", "camera"} {
		n.w.Host(host).WriteFile("/etc/snmp/snmpd.conf", snmpdConf)
		n.w.Host(host).Start("snmpd", "-f", "-Lo", "-C", "-c", "/etc/snmp/snmpd.conf")
	}
	n.regular("meter", "udp:161")
	n.external("ups", "udp:161")
	const location = "1.3.6.1.2.1.1.6.0"
	ask := []string{"-v2c", "-m", "", "-c", "public", "-On", "-t", "5", "-r", "3"}
	for _, agent := range []string{"meter", "udp6:meter", "ups"} {
		got := n.at("technician", append(append([]string{"snmpget"}, ask...), agent, location)...)
		if !strings.Contains(got, "cellar of the gateway") {
			t.Errorf("snmpget %s: %q", agent, got)
		}
		walk := n.at("technician",
			append(append([]string{"snmpwalk"}, ask...), agent, "1.3.6.1.2.1.1")...)
		if lines := strings.Count(walk, "\n"); lines < 20 {
			t.Errorf("snmpwalk %s: %d lines", agent, lines)
		}
		// An answer of several kilobytes: more than any device on the way takes in one piece.
		big := n.at("technician", append(append([]string{"snmpbulkget", "-Cr120"}, ask...), agent,
			"1.3.6.1.2.1")...)
		if lines := strings.Count(big, "\n"); lines < 100 {
			t.Errorf("snmpbulkget %s: %d lines", agent, lines)
		}
	}
}
