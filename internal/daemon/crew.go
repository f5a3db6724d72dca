// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"sync"
)

// crew is the goroutines of one run. The zero value is ready once failed is set.
type crew struct {
	failed func() // ends the run; called when one of them fails

	all   sync.WaitGroup
	mu    sync.Mutex // guards first
	first error
}

// start runs a goroutine under a name. An error that it returns ends the whole run.
func (c *crew) start(name string, run func() error) {
	c.all.Go(func() {
		err := run()
		if err == nil {
			return
		}
		c.mu.Lock()
		if c.first == nil {
			c.first = fmt.Errorf("%s: %w", name, err)
		}
		c.mu.Unlock()
		c.failed()
	})
}

func (c *crew) wait() { c.all.Wait() }

// err is the first failure, or nil.
func (c *crew) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}
