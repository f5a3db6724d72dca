// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"staex/bench/figure"
	"staex/bench/load"
	"staex/bench/peer"
	"staex/test/world"
)

// payloads are the sizes of datagrams whose bytes on the wire are counted.
var payloads = []int{10, 16, 100}

const (
	// publish is the size of an MQTT message: a topic and a reading.
	publish = 20
	// spoken is how many messages of each kind are sent; the median says what one costs.
	spoken = 12
	// bucket is the time between two messages, longer than a delayed acknowledgement.
	bucket = 60 * time.Millisecond
	// warmQuestions are asked first, so that what a flow costs only once is over.
	warmQuestions = 60
)

// wire counts the bytes of IP on the first cable that one message causes, in both directions.
func wire(ctx context.Context, _ *bench, s *peer.Site) (map[string]float64, error) {
	e, err := load.OpenEcho(ctx, s.Path)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	if took, err := e.Ask(warmQuestions, time.Millisecond, 10*time.Second); err != nil ||
		len(took) == 0 {
		return nil, errors.Join(err, errors.New("no answer came"))
	}
	values := map[string]float64{}
	for _, size := range payloads {
		if err := e.Tell(size); err != nil {
			return nil, err
		}
		each, err := perMessage(s, func() error { return e.Tell(size) })
		if err != nil {
			return nil, err
		}
		values[fmt.Sprintf(figure.WireOf, size)] = each
	}
	m, err := load.OpenMessages(ctx, s.Path)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	for range warmQuestions { // out of the quick acknowledgements of a young connection
		if err := m.Say(publish); err != nil {
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
	values[figure.Message], err = perMessage(s, func() error { return m.Say(publish) })
	return values, err
}

// perMessage is the median of what one message costs. Each message has its own time on the wire.
func perMessage(s *peer.Site, say func() error) (float64, error) {
	var pcap []byte
	var begin time.Time
	var failed error
	err := s.Try(func() {
		time.Sleep(bucket)
		iface, _ := s.Underlay()
		capture := s.Hosts[0].Capture(iface)
		begin = time.Now()
		for i := range spoken {
			time.Sleep(time.Until(begin.Add(time.Duration(i) * bucket)))
			if failed = say(); failed != nil {
				break
			}
		}
		time.Sleep(time.Until(begin.Add(spoken * bucket)))
		pcap = capture.Stop()
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, err
	}
	return figure.Of(buckets(world.Timed(pcap), begin)).Median, nil
}

// buckets sums up the IP lengths of frames by the message in whose time they passed.
func buckets(frames []world.Frame, begin time.Time) []float64 {
	const ether = 14
	sums := make([]float64, spoken)
	for _, f := range frames {
		// A frame is stamped when it is read, which is never before it passed.
		i := int(f.At.Sub(begin.Truncate(time.Microsecond)) / bucket)
		if i >= 0 && i < spoken && len(f.Bytes) > ether {
			sums[i] += float64(len(f.Bytes) - ether)
		}
	}
	return sums
}
