package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// pull fetches the manifest of an image and everything it names, compares each digest, and keeps nothing.
func pull(ctx context.Context, asked request, login credential) (digest.Digest, error) {
	named, err := reference.ParseDockerRef(asked.Image)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errdefs.ErrInvalidArgument, err)
	}
	var clients []*http.Client
	// Each pull has connections of its own, as no two have the same credentials.
	defer func() {
		for _, client := range clients {
			client.CloseIdleConnections()
		}
	}()
	noted := func(client *http.Client) error {
		clients = append(clients, client)
		return nil
	}
	hosts, err := registryHosts(ctx, asked, login, noted)
	if err != nil {
		return "", err
	}
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: hosts})
	name, root, err := resolver.Resolve(ctx, named.String())
	if err != nil {
		return "", err
	}
	fetcher, err := resolver.Fetcher(ctx, name)
	if err != nil {
		return "", err
	}
	return root.Digest, fetchAll(ctx, fetcher, root)
}

// registryHosts gives the credential to every host that asks for one: the kubelet leaves the server's address out,
// and containerd's CRI plugin then does the same. A user without a name is no user to it.
func registryHosts(
	ctx context.Context, asked request, login credential, noted config.UpdateClientFunc,
) (docker.RegistryHosts, error) {
	options := config.HostOptions{DefaultScheme: "https", UpdateClient: noted}
	if asked.PlainHTTP {
		options.DefaultScheme = "http"
	} else if asked.CA != "" {
		trusted, err := authorities(asked.CA)
		if err != nil {
			return nil, err
		}
		options.DefaultTLS = &tls.Config{RootCAs: trusted}
	}
	options.Credentials = func(string) (string, string, error) {
		if login.Username == "" {
			return "", "", nil
		}
		return login.Username, login.Password, nil
	}
	return config.ConfigureHosts(ctx, options), nil
}

func authorities(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		// Not wrapped: what the system says about a file would be taken for the network.
		return nil, errors.New(err.Error())
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return trusted, nil
}

func fetchAll(ctx context.Context, fetcher remotes.Fetcher, wanted ocispec.Descriptor) error {
	isIndex, isManifest := images.IsIndexType(wanted.MediaType), images.IsManifestType(wanted.MediaType)
	content, err := fetch(ctx, fetcher, wanted, isIndex || isManifest)
	if err != nil {
		return err
	}
	var children []ocispec.Descriptor
	switch {
	case isIndex:
		children, err = fitting(content)
	case isManifest:
		var manifest ocispec.Manifest
		err = json.Unmarshal(content, &manifest)
		children = append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", wanted.Digest, err)
	}
	for _, child := range children {
		if err := fetchAll(ctx, fetcher, child); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads one blob or manifest to its end and compares size and digest; only what is to be kept is returned.
func fetch(ctx context.Context, fetcher remotes.Fetcher, wanted ocispec.Descriptor, keep bool) ([]byte, error) {
	if err := wanted.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("%q: %w", wanted.Digest, err)
	}
	body, err := fetcher.Fetch(ctx, wanted)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var kept bytes.Buffer
	verifier := wanted.Digest.Verifier()
	target := io.Writer(verifier)
	if keep {
		target = io.MultiWriter(verifier, &kept)
	}
	// One more than there should be: what is longer shows.
	size, err := io.Copy(target, io.LimitReader(body, wanted.Size+1))
	if err != nil {
		return nil, err
	}
	if size != wanted.Size || !verifier.Verified() {
		return nil, fmt.Errorf("%s: the registry sent something else", wanted.Digest)
	}
	return kept.Bytes(), nil
}

// fitting returns the one manifest of an index that a node of this machine's kind would take.
func fitting(content []byte) ([]ocispec.Descriptor, error) {
	var index ocispec.Index
	if err := json.Unmarshal(content, &index); err != nil {
		return nil, err
	}
	machine := platforms.Default()
	best := -1
	for number, one := range index.Manifests {
		if one.Platform == nil || !machine.Match(*one.Platform) {
			continue
		}
		if best < 0 || machine.Less(*one.Platform, *index.Manifests[best].Platform) {
			best = number
		}
	}
	if best < 0 {
		return nil, fmt.Errorf("no image for %s: %w", platforms.DefaultString(), errdefs.ErrNotFound)
	}
	return index.Manifests[best : best+1], nil
}
