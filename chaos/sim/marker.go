package sim

import "lockstep/node"

// marker is node.Marker on the device.
func (m *member) marker() node.Marker { return deviceMarker{m} }

type deviceMarker struct{ m *member }

// Joining implements node.Marker.
func (d deviceMarker) Joining() (bool, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return d.m.device.joining, nil
}

// Joined implements node.Marker.
func (d deviceMarker) Joined() error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	d.m.device.joining, d.m.device.strictly = false, false
	return nil
}

// Strictly is what node asks of a marker that knows it.
func (d deviceMarker) Strictly() (bool, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return d.m.device.strictly, nil
}

// String implements node.Marker.
func (d deviceMarker) String() string { return "device" }
