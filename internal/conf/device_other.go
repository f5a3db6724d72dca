// SPDX-License-Identifier: Apache-2.0

//go:build !darwin && !openbsd

package conf

// deviceName is the usual name of the virtual network device.
const deviceName = "mcc0"
