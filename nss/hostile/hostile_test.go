// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package hostile is tests only: the name service module under sanitizers, against the daemon's
// end of the conversation and against programs that pretend to be it.
package hostile

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"staex/internal/api"
)

// patience is what the module gives itself for one lookup, and slack what starting a program
// under sanitizers on a busy machine may add.
const (
	patience = 400 * time.Millisecond
	slack    = 1500 * time.Millisecond
)

// built is the driver, made once by the first test that wants it, and the folder around it.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// passwd is the user database of the driver: lines of every kind around the one of user mcc.
const passwd = `root:x:0:0:root:/root:/bin/sh
mc:x:11:11::/:
mccc:x:12:12::/:

mcc
mcc:
mcc:x
mcc:x:
mcc:x:y:13::/:
mcc:x:-1:14::/:
mcc:x:977x:15::/:
mcc:x:977:977:The network daemon:/var/lib/mcc:/usr/sbin/nologin
a-user-whose-line-is-longer-than-what-is-read-of-it:x:21:21:` +
	`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:/:mcc:x:16:16
mcc:x:17:17:without an end of the line`

func TestMain(m *testing.M) {
	if path := os.Getenv("HOSTILE_SOCKET"); path != "" {
		squat(path)
		return
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // below the system's own place for temporary files
	}
	os.Exit(code)
}

// build compiles the driver. Without a C compiler the tests are skipped aloud.
func build(t *testing.T) (dir string) {
	t.Helper()
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if _, err := exec.LookPath(strings.Fields(cc)[0]); err != nil {
		if os.Getenv("STAEX_WORLD") == "require" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: there is no C compiler: %v", err)
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "nss"); built.err != nil {
			return
		}
		built.err = errors.Join(
			os.Chmod(built.dir, 0o755), // other users run it
			os.WriteFile(filepath.Join(built.dir, "passwd"), []byte(passwd), 0o600))
		args := append(strings.Fields(cc), "-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall",
			"-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
			"-DUSER_DATABASE=\""+filepath.Join(built.dir, "passwd")+"\"",
			"-o", filepath.Join(built.dir, "driver"), "../driver.c")
		if os.Geteuid() != 0 {
			args = append(args, "-DMCC_BELIEVE_OWN_USER")
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			built.err = errors.Join(built.err, fmt.Errorf("%w: %s", err, out))
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

// drive runs the driver with a socket and returns what it printed, and how long it took.
func drive(t *testing.T, socket string, input []byte, args ...string) (string, time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(build(t), "driver"), args...)
	return run(t, cmd, socket, input)
}

func run(t *testing.T, cmd *exec.Cmd, socket string, input []byte) (string, time.Duration) {
	t.Helper()
	cmd.Env = append(os.Environ(), "MCC_UNIX_SOCKET_PATH="+socket, "ASAN_OPTIONS=abort_on_error=0")
	cmd.Stdin = bytes.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("driver %q: %v\n%s%s", cmd.Args[1:], err, out.Bytes(), errs.Bytes())
	}
	return out.String(), time.Since(begin)
}

// socketPath is short enough whatever the test is called, and others may reach it.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nss")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "sock")
}

// book answers lookups like the daemon.
type book struct{}

func (book) Handle(_ context.Context, _ api.Peer, r api.Request) (any, error) {
	var a api.LookupArgs
	if err := r.Decode(&a); err != nil || r.Op != api.OpLookup {
		return nil, errors.Join(err, errors.New("not a lookup: "+r.Op))
	}
	v4, v6 := netip.MustParseAddr("10.83.0.2"), netip.MustParseAddr("2f3:1::2")
	switch {
	case a.Name == "camera1" || len(a.Name) == 253:
		return api.LookupReply{V4: v4, V6: v6}, nil
	case a.Name == "four":
		return api.LookupReply{V4: v4}, nil
	case a.Name == "six":
		return api.LookupReply{V6: v6}, nil
	case a.Name == "later":
		return nil, api.Errorf(api.CodeTimeout, "lookup took longer than 20s")
	case a.Address == v4 || a.Address == v6:
		return api.LookupReply{Name: "camera1.home.arpa"}, nil
	}
	return nil, api.Errorf(api.CodeNotFound, "%s: not known here", a.Name)
}

// daemon serves the book with the daemon's own server.
func daemon(t *testing.T) (path string) {
	t.Helper()
	path = socketPath(t)
	l, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &api.Server{Access: api.Access{Own: uint32(os.Geteuid())}}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l, book{}) }()
	t.Cleanup(func() { s.Close(); <-done })
	return path
}

// long is the longest name there can be, and longer one character more.
var long, longer = strings.Repeat("x.", 126) + "x", strings.Repeat("x", 254)

func TestTheModuleAndTheDaemonUnderstandEachOther(t *testing.T) {
	path := daemon(t)
	want := map[string]string{
		"camera1": "success 2f3:1::2 10.83.0.2 success 10.83.0.2 success 2f3:1::2",
		"four":    "success 10.83.0.2 success 10.83.0.2 return",
		"six":     "success 2f3:1::2 return success 2f3:1::2",
		"nobody":  "notfound", "later": "tryagain", "www.example.org": "notfound",
		// What these could do to the line that is sent, they cannot: nobody asks them.
		`a"b`: "notfound", "a b": "notfound", "ä": "notfound", "a\nb": "notfound", "": "notfound",
		"localhost": "notfound", longer: "notfound",
		long:        "success 2f3:1::2 10.83.0.2 success 10.83.0.2 success 2f3:1::2",
		"10.83.0.2": "success camera1.home.arpa",
		"2f3:1::2":  "success camera1.home.arpa",
		"192.0.2.1": "notfound -", "2001:db8::1": "notfound -",
	}
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	var expected strings.Builder
	for _, name := range names {
		expected.WriteString(name + " " + want[name] + "\n")
	}
	got, _ := drive(t, path, nil, append([]string{"lookup"}, names...)...)
	if got != expected.String() {
		t.Errorf("got\n%swant\n%s", got, expected.String())
	}
}

func TestNoBufferOfTheCallerIsOverrun(t *testing.T) {
	got, _ := drive(t, daemon(t), nil, "sizes", "camera1", "10.83.0.2")
	if got != "all sizes\n" {
		t.Error(got)
	}
}

func TestWithoutADaemonTheNextSourceIsAsked(t *testing.T) {
	dir := filepath.Dir(socketPath(t))
	dead := filepath.Join(dir, "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dead, file, dir, dir + "/none", "/" + strings.Repeat("p", 200)} {
		got, took := drive(t, path, nil, "lookup", "camera1")
		if got != "camera1 unavail\n" || took > slack {
			t.Errorf("%s: %q after %v", path, got, took)
		}
	}
}

// good is an answer that the module takes, refusal one that tells it nothing.
const (
	good    = `{"ok":true,"result":{"v4":"10.83.0.2","v6":"2f3:1::2"}}` + "\n"
	refusal = `{"ok":false,"code":"not-permitted","error":"no"}` + "\n"
	early   = `{"ok":true,"result":{"v4":"10.83.0.2` + "\x00" + `"}}` + "\n"
)

// always sends a text after whatever it is asked.
func always(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = bufio.NewReader(c).ReadString('\n')
		_, _ = c.Write([]byte(text))
	}
}

func TestAHostileSocketCostsNoMoreThanTheTimeLimit(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]struct {
		do   func(net.Conn)
		want string
	}{
		"an answer":                  {always(good), "success"},
		"an answer and more":         {always(good + "garbage"), "success"},
		"closed at once":             {func(net.Conn) {}, "unavail"},
		"half a line":                {always(good[:30]), "unavail"},
		"garbage":                    {always("\x00\xff\x80{{{{\n"), "unavail"},
		"an empty line":              {always("\n"), "unavail"},
		"a refusal":                  {always(refusal), "unavail"},
		"another result":             {always(`{"ok":true}` + "\n"), "unavail"},
		"more than is read":          {always(strings.Repeat("x", 1<<16)), "unavail"},
		"silence":                    {silence, "unavail"},
		"an answer in drops":         {drip, "unavail"},
		"an address that ends early": {always(early), "unavail"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, took := drive(t, fake(t, h.do), nil, "lookup", "camera1")
			if word := strings.Fields(got)[1]; word != h.want || took > patience+slack {
				t.Errorf("%q after %v", got, took)
			}
		})
	}
}

// fake serves connections one by one with do.
func fake(t *testing.T, do func(net.Conn)) (path string) {
	t.Helper()
	path = socketPath(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); do(c) }()
		}
	}()
	return path
}

// silence reads until the other end is gone.
func silence(c net.Conn) {
	_, _ = bufio.NewReader(c).ReadString(0)
}

// drip sends a good answer so slowly that every byte comes in time and the whole does not.
func drip(c net.Conn) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range len(good) {
		<-tick.C
		if _, err := c.Write([]byte(good[i : i+1])); err != nil {
			return
		}
	}
}

func TestADaemonThatAcceptsNobodyCostsNoMoreThanTheTimeLimit(t *testing.T) {
	path := socketPath(t)
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("unix", path) // fills the queue
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	got, took := drive(t, path, nil, "lookup", "camera1")
	if got != "camera1 unavail\n" || took > patience+slack || took < patience {
		t.Errorf("%q after %v", got, took)
	}
}

// reply is the twin of the module's reader: what it takes has to mean the same as JSON.
type reply struct {
	OK     bool `json:"ok"`
	Result struct {
		V4   netip.Addr `json:"v4"`
		V6   netip.Addr `json:"v6"`
		Name string     `json:"name"`
	} `json:"result"`
}

func TestWhateverTheModuleTakesIsJSONAndMeansTheSame(t *testing.T) {
	dice := rand.New(rand.NewSource(4)) // the same replies on every run
	seeds := []string{
		good[:len(good)-1],
		`{"ok":true,"result":{"v4":"10.83.0.2"}}`,
		`{"ok":true,"result":{"v6":"2f3:1::2","name":"camera1.home.arpa"}}`,
		`{"ok":true,"result":{"name":"camera1.home.arpa","more":"of-a-later-version"}}`,
		`{"ok":false,"code":"not-found","error":"camera9: not known here"}`,
		`{"ok":false,"code":"timeout","error":"later"}`,
	}
	var replies []string
	for _, s := range seeds {
		for i := range len(s) + 1 {
			replies = append(replies, s[:i]) // cut at every length
		}
	}
	const alphabet = "{}[]\":,.\\\x00\n 0123456789abcdefx-_\xff"
	for range 20_000 {
		b := []byte(seeds[dice.Intn(len(seeds))])
		for range 1 + dice.Intn(4) {
			at := dice.Intn(len(b))
			c := alphabet[dice.Intn(len(alphabet))]
			switch dice.Intn(4) {
			case 0:
				b[at] = c
			case 1:
				b = slices.Insert(b, at, c)
			case 2:
				b = slices.Delete(b, at, min(len(b), at+1+dice.Intn(3)))
			default:
				piece := b[at:min(len(b), at+dice.Intn(300))]
				b = slices.Insert(b, dice.Intn(len(b)), slices.Clone(piece)...)
			}
			if len(b) == 0 {
				b = []byte{c}
			}
		}
		replies = append(replies, string(b))
	}
	replies = append(replies, `{"ok":true,"result":{"name":"`+long+`"}}`,
		`{"ok":true,"result":{"name":"`+longer+`"}}`)

	var input []byte
	for _, r := range replies {
		input = binary.LittleEndian.AppendUint32(input, uint32(len(r)))
		input = append(input, r...)
	}
	out, _ := drive(t, "", input, "parse")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != len(replies) {
		t.Fatalf("%d answers to %d replies", len(lines), len(replies))
	}
	taken := 0
	for i, text := range replies {
		if lines[i][0] != '0' {
			continue
		}
		taken++
		if want := means(text); lines[i] != want {
			t.Errorf("%q is %q, as JSON %q", text, lines[i], want)
		}
	}
	if taken < 500 {
		t.Errorf("only %d replies were taken: this test looks at nothing", taken)
	}
	if lines[len(lines)-2] != "0 "+long || lines[len(lines)-1] != "3" {
		t.Errorf("the longest names: %q", lines[len(lines)-2:])
	}
}

// means is a reply in the driver's words, by the JSON of the standard library.
func means(text string) string {
	var r reply
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err.Error()
	}
	words := []string{"0"}
	for _, a := range []netip.Addr{r.Result.V4, r.Result.V6} {
		if a.IsValid() {
			words = append(words, a.String())
		}
	}
	if r.Result.Name != "" {
		words = append(words, r.Result.Name)
	}
	return strings.Join(words, " ")
}

func TestOnlyTheUserMCCOfTheDatabaseIsTheDaemon(t *testing.T) {
	got, _ := drive(t, "", nil, "user", "977", "0", "11", "12", "13", "14", "15", "16", "17",
		"4294967295", "21")
	if got != "1\n"+strings.Repeat("0\n", 10) {
		t.Errorf("%q", got)
	}
}

// nobody is a user who is neither root nor mcc.
const nobody = 65534

// asNobody runs a command as that user; only root can.
func asNobody(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can become another user: sudo make test")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
	}
	return cmd
}

// squat sits at a path and gives everybody an answer, until it is killed.
func squat(path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		always(good)(c)
		_ = c.Close()
	}
}

func TestASocketOfAnotherUserIsNotBelieved(t *testing.T) {
	path := socketPath(t)
	// The test's own program, where that user can read it.
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(path), "squatter")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	squatter := asNobody(t, exec.Command(program))
	squatter.Env = append(os.Environ(), "HOSTILE_SOCKET="+path)
	out, err := squatter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := squatter.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = squatter.Process.Kill(); _ = squatter.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the squatter says %q: %v", line, err)
	}
	got, _ := drive(t, path, nil, "lookup", "camera1")
	if got != "camera1 unavail\n" {
		t.Errorf("%q", got)
	}
}

func TestEveryUserMayLookNamesUpAndManyCannotShutOthersOut(t *testing.T) {
	path := daemon(t)
	driver := filepath.Join(build(t), "driver")
	ask := func() string {
		cmd := asNobody(t, exec.CommandContext(t.Context(), driver, "lookup", "four"))
		got, _ := run(t, cmd, path, nil)
		return got
	}
	if got := ask(); got != "four success 10.83.0.2 success 10.83.0.2 return\n" {
		t.Errorf("%q", got)
	}
	c, err := api.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 40 {
		if strings.Contains(ask(), "success") {
			continue
		}
		t.Fatal("a user who asks often is turned away")
	}
	if err := c.Call(api.OpLookup, api.LookupArgs{Name: "four"}, nil); err != nil {
		t.Error(err)
	}
}

// imported is everything that the module may call: what is not here brings memory, threads,
// locks or other modules with it.
var imported = []string{
	"__cxa_finalize", "__errno_location", "__gmon_start__", "__stack_chk_fail",
	"_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable",
	"clock_gettime", "close", "connect", "getsockopt", "inet_ntop", "inet_pton", "memchr",
	"memcmp", "memcpy", "memset", "open", "open64", "poll", "read", "recv", "secure_getenv",
	"send", "socket", "strcasecmp", "strchr", "strcmp", "strlen", "strncmp", "strtoul",
	"__memcpy_chk", "__memset_chk", "__open_2", "__open64_2", "__poll_chk", "__read_chk",
	"__recv_chk", "__inet_ntop_chk", "__inet_pton_chk", "__isoc23_strtoul",
}

func TestTheModuleCallsNothingButWhatIsListed(t *testing.T) {
	build(t) // or skip
	out := filepath.Join(t.TempDir(), "libnss_mcc.so.2")
	if text, err := exec.Command("../../scripts/nss", out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	f, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if !slices.Contains(imported, s.Name) {
			t.Errorf("it calls %s", s.Name)
		}
	}
	libraries, err := f.ImportedLibraries()
	if err != nil || !slices.Equal(libraries, []string{"libc.so.6"}) {
		t.Errorf("it needs %v: %v", libraries, err)
	}
	dynamic, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, s := range dynamic {
		if s.Section != elf.SHN_UNDEF && !strings.HasPrefix(s.Name, "_nss_mcc_") {
			exported = append(exported, s.Name)
		}
	}
	if len(exported) > 0 {
		t.Errorf("it exports %v", exported)
	}
	info, err := os.Stat(out)
	if err != nil || info.Size() > 24_000 {
		t.Errorf("%d bytes: %v", info.Size(), err)
	}
}
