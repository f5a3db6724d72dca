// The experiment of label switching in the kernel, a module of its own: the product does not need
// what it needs.
module staex/bench/kernelswitch

go 1.26.0

require (
	github.com/cilium/ebpf v0.22.0
	golang.org/x/sys v0.49.0
	staex v0.0.0-00010101000000-000000000000
)

require golang.org/x/net v0.62.0 // indirect

replace staex => ../..
