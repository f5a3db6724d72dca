// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"strings"
)

// The pictures that the cameras take, in points.
const (
	pictureWidth  = 160
	pictureHeight = 80
)

// hall is what camera 1 sees: a corridor with a lit door at its end.
func hall(x, y int) uint8 {
	dx, dy := abs(x-pictureWidth/2), abs(y-pictureHeight/2)
	switch depth := max(dx, 2*dy); {
	case dx < 10 && dy < 18:
		return 250
	case dy*2 >= dx && y > pictureHeight/2:
		return uint8(90 + depth/2) // the floor
	case dy*2 >= dx:
		return uint8(40 + depth/4) // the ceiling
	default:
		return uint8(min(20+depth*2, 200)) // the walls
	}
}

// yard is what camera 2 sees: the sun over a shed.
func yard(x, y int) uint8 {
	sx, sy := x-125, y-20
	switch {
	case sx*sx+sy*sy < 14*14:
		return 255
	case abs(x-50) < 26 && y > 26+abs(x-50)/2 && y < 66:
		return 20
	case y > 62:
		return 150
	default:
		return uint8(70 + y)
	}
}

func abs(n int) int { return max(n, -n) }

// photograph is the picture as a camera would send it.
func photograph(scene func(x, y int) uint8) (string, error) {
	img := image.NewGray(image.Rect(0, 0, pictureWidth, pictureHeight))
	for y := range pictureHeight {
		for x := range pictureWidth {
			img.SetGray(x, y, color.Gray{Y: scene(x, y)})
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, img)
	return b.String(), err
}

// draw turns a picture that came into lines of text of that width, two columns a row.
func draw(encoded []byte, width int) ([]string, error) {
	img, err := png.Decode(bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	const shades = " .:-=+*#%@"
	size := img.Bounds().Size()
	step := size.X / width
	var lines []string
	for y := step; y < size.Y; y += 2 * step {
		var line strings.Builder
		for x := step / 2; x < size.X; x += step {
			grey, _ := color.GrayModel.Convert(img.At(x, y)).(color.Gray)
			line.WriteByte(shades[int(grey.Y)*len(shades)/256])
		}
		lines = append(lines, line.String())
	}
	return lines, nil
}
