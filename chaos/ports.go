package chaos

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// pickPorts finds n loopback addresses on which nobody listens. They are below the range from which the system hands
// out ports for outgoing connections, so that a port stays free while its replica is down. Nothing holds them until the
// replicas listen: who loses the race must pick again.
func pickPorts(n int) ([]string, error) {
	low, high := portRange()
	var addresses []string
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for try := 0; len(addresses) < n; try++ {
		if try > 100+20*n {
			return nil, fmt.Errorf("no %d free ports between %d and %d on 127.0.0.1", n, low, high)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", low+rand.IntN(high-low)))
		if err != nil {
			continue
		}
		held = append(held, l)
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// portRange is [low, high): from 10000 up to the system's range for outgoing connections, or what is usual for it.
func portRange() (low, high int) {
	const usual = 32768
	low, high = 10000, usual
	var first, last int
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return low, high
	}
	if _, err := fmt.Sscan(string(data), &first, &last); err != nil || first < low+2000 {
		return low, high
	}
	return low, min(first, 65536)
}
