// SPDX-License-Identifier: Apache-2.0

// Package world is a small internet on one machine: hosts, bridges and NAT routers made of
// network namespaces, for tests and for the demo. It never touches the machine's own network.
//
// A program that uses it calls Enter (a test package: Main, from TestMain) before anything
// else. Enter starts the program a second time inside namespaces of its own (network, mounts,
// processes, and users if it is not root). Whatever happens to the program, the kernel takes
// the whole world away with its last process: there is nothing to clean up and nothing that
// can collide with another run.
//
//	machine
//	└── sandbox: own network, own /run and /mnt, own process numbers
//	    ├── bridge inet ──┬── public      203.0.113.1
//	    │                 └── homenat     203.0.113.10   (nftables masquerade)
//	    └── bridge home ──┬── homenat     192.168.1.1
//	                      ├── gateway     192.168.1.2
//	                      └── camera      192.168.1.10
//
// Every host has its own /etc, /run, /tmp and /var/lib; the rest of the file system is the
// machine's. Programs of this repository are in the path of every host.
package world
