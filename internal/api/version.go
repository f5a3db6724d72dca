// SPDX-License-Identifier: Apache-2.0

package api

// Version is the version of the programs on both ends of the socket. They are built and
// installed together.
const Version = "0.1.0-dev"
