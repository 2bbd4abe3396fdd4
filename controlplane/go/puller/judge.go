package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

const (
	ok           = "ok"
	unauthorized = "unauthorized"
	notFound     = "not_found"
	httpStatus   = "http_status"
	network      = "network"
	failed       = "failed"

	longest = 400
)

// judge turns the end of an attempt into an answer.
func judge(root digest.Digest, err error, tried int) answer {
	if err == nil {
		return answer{Outcome: ok, Digest: root.String(), Tried: tried}
	}
	outcome, status := classify(err)
	return answer{Outcome: outcome, Status: status, Text: shortened(err.Error()), Tried: tried}
}

func classify(err error) (string, int) {
	var unexpected remoteerrors.ErrUnexpectedStatus
	var unreachable net.Error
	switch {
	case errors.As(err, &unexpected) && unexpected.StatusCode == http.StatusUnauthorized:
		return unauthorized, unexpected.StatusCode
	case errors.As(err, &unexpected) && unexpected.StatusCode != http.StatusNotFound:
		return httpStatus, unexpected.StatusCode
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return unauthorized, http.StatusUnauthorized
	case errdefs.IsNotFound(err) || unexpected.StatusCode == http.StatusNotFound:
		return notFound, http.StatusNotFound
	case errors.As(err, &unreachable) || errors.Is(err, context.DeadlineExceeded):
		return network, 0
	}
	return failed, 0
}

// shortened keeps an answer on one readable line, whatever a registry says.
func shortened(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return string(runes)
}
