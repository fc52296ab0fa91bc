package main

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// networkChanges tells that a network card was plugged in or pulled out, or that an address came or went, until ctx ends: the kernel says so at
// once. Several changes are told as one. nil where the system does not let it listen.
func networkChanges(ctx context.Context) <-chan struct{} {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR}); err != nil {
		_ = unix.Close(fd)
		return nil
	}
	socket := os.NewFile(uintptr(fd), "network changes")
	context.AfterFunc(ctx, func() { _ = socket.Close() })
	changed := make(chan struct{}, 1)
	go func() {
		defer socket.Close()
		buf := make([]byte, 4096) // what is told is not read: a look tells more
		for {
			_, err := socket.Read(buf)
			if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
				return
			}
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	return changed
}
