// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"staex/internal/host/disk"
	"staex/internal/host/dnsmasq"
	"staex/internal/host/hook"
)

// dnsmasqPerm is the permission of the file for Dnsmasq, which has no rights when it reads it.
const dnsmasqPerm = 0o644

// tellDnsmasq writes the file that makes Dnsmasq ask our DNS server, while this process may. What
// fails is a warning: the network does not depend on it.
func (d *daemon) tellDnsmasq() error {
	c := d.files.cfg.Dnsmasq
	changed, err := d.writeDnsmasq()
	if err == nil && changed && c.Restart != "" {
		err = hook.Run(context.Background(), d.files.path, c.Restart)
		if errors.Is(err, hook.ErrOwner) {
			err = fmt.Errorf("dnsmasq-restart-command was not run: %w: type: chmod go-w %s", err,
				d.files.path)
		}
	}
	if err != nil {
		text := "Dnsmasq: " + err.Error()
		d.host.lacks = append(d.host.lacks, text)
		d.log.Warn("configuration", "warning", text)
	}
	return nil
}

// writeDnsmasq reports whether the file has changed.
func (d *daemon) writeDnsmasq() (changed bool, err error) {
	c, res := d.files.cfg.Dnsmasq, d.files.cfg.Resolver
	info, err := os.Stat(c.Dir)
	there := err == nil && info.IsDir()
	switch {
	case c.Enable == "false", c.Enable == "" && (!there || !res.DNSEnable):
		return false, nil
	case !res.DNSEnable:
		return false, errors.New("dnsmasq-enable = true needs dns-enable = true")
	case !there:
		return false, fmt.Errorf("there is no directory %s: is Dnsmasq installed? Otherwise write "+
			"dnsmasq-enable = false, or another dnsmasq-directory", c.Dir)
	}
	text := dnsmasq.Config{
		Server: res.DNSAddr, Domain: res.Domain, Ranges: []netip.Prefix{res.IPv4, res.IPv6},
	}.Text()
	path := filepath.Join(c.Dir, dnsmasq.FileName)
	old, err := disk.ReadFile(path)
	mark, _, _ := strings.Cut(text, "\n")
	switch {
	case err == nil && string(old) == text:
		return false, nil
	case err == nil && !strings.HasPrefix(string(old), mark):
		return false, fmt.Errorf("%s is somebody else's file: it was left as it is", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	return true, disk.WriteFile(path, []byte(text), dnsmasqPerm)
}
