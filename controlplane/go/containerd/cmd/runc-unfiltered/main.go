// runc-unfiltered is runc for a build without libseccomp: it takes the seccomp filter, which the kubelet asks for, out
// of a container's configuration before it becomes the `runc` that lies beside it on PATH.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "runc-unfiltered:", err)
		os.Exit(1)
	}
}

func run() error {
	for number, argument := range os.Args {
		// Only `create`, `run` and `restore` have one.
		if argument == "--bundle" && number+1 < len(os.Args) {
			if err := unfilter(filepath.Join(os.Args[number+1], "config.json")); err != nil {
				return err
			}
		}
	}
	real, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return syscall.Exec(real, append([]string{real}, os.Args[1:]...), os.Environ())
}

func unfilter(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(content, &config); err != nil {
		return err
	}
	var linux map[string]json.RawMessage
	if err := json.Unmarshal(config["linux"], &linux); err != nil {
		return err
	}
	delete(linux, "seccomp")
	if config["linux"], err = json.Marshal(linux); err != nil {
		return err
	}
	if content, err = json.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
