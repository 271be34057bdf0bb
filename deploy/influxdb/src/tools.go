//go:build tools

// Package tools pins the InfluxDB to build: its module and every dependency, by hash, in go.mod and go.sum.
package tools

import _ "github.com/influxdata/influxdb/v2/cmd/influxd"
