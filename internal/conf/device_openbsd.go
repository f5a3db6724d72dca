// SPDX-License-Identifier: Apache-2.0

package conf

// deviceName is the usual name of the virtual network device: the system takes no other kind.
const deviceName = "tun0"
