package queue

import (
	"fmt"
	"testing"
	"time"
)

func TestWorldsTry(t *testing.T) {
	disk := newWorldDisk(t)
	began := time.Now()
	n := 200
	bad := 0
	for seed := range n {
		l := liveFast(t, disk, worldFromSeed(uint64(seed)), noPlant)
		if len(l.verdict.Breaches) > 0 {
			bad++
			if bad <= 3 {
				fmt.Println(l.script, l.verdict.Breaches)
				fmt.Println(l.log)
			}
		}
	}
	fmt.Println(n, time.Since(began), bad)
}
