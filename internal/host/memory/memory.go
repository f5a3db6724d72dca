// SPDX-License-Identifier: Apache-2.0

// Package memory is the program's memory as the machine counts it: it gives back what only the
// start needed, and never touches anything that was written.
package memory
