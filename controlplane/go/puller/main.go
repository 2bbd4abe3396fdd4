// ctrpull pulls images as a node does: with containerd's own resolver and nothing else.
//
// It reads one JSON request a line from standard input and writes one JSON answer a line to standard output, in
// the order of the requests, until the input ends. Several pulls run side by side. Passwords come in on standard
// input and go to registries; they are in no argument, no file and no answer.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/containerd/log"
)

const (
	sideBySide = 4
	// A pull that takes longer is a registry that hangs.
	patience = 60 * time.Second
)

// request is one image, and the credentials that the kubelet found for it, in its order. None means that the node
// pulls anonymously; with some it never does.
type request struct {
	Image       string       `json:"image"`
	Credentials []credential `json:"credentials"`
	// PlainHTTP is what a node is told of a registry without TLS.
	PlainHTTP bool `json:"plain_http"`
	// CA is the path of a PEM file with the only authorities to trust; empty means those of the system.
	CA string `json:"ca"`
}

type credential struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// answer says how a pull ended: ok, unauthorized, not_found, http_status, network, or failed for whatever else.
// Digest is that of the manifest that the reference resolves to, Status the HTTP status where one decided, Tried the
// number of attempts.
type answer struct {
	Outcome string `json:"outcome"`
	Text    string `json:"text,omitempty"`
	Status  int    `json:"status,omitempty"`
	Digest  string `json:"digest,omitempty"`
	Tried   int    `json:"tried"`
}

func main() {
	// What the library logs is in the answers.
	if err := log.SetLevel("panic"); err != nil {
		panic(err)
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "ctrpull:", err)
		os.Exit(1)
	}
}

func serve() error {
	answers := make(chan chan answer, sideBySide)
	written := make(chan struct{})
	go func() {
		write(answers)
		close(written)
	}()
	input := bufio.NewReader(os.Stdin)
	var failure error
	for {
		line, err := input.ReadBytes('\n')
		if len(line) > 0 {
			result := make(chan answer, 1)
			answers <- result // waits while as many as may be are under way
			go func() { result <- reply(line) }()
		}
		if err != nil {
			if err != io.EOF {
				failure = err
			}
			break
		}
	}
	close(answers)
	<-written
	return failure
}

func write(answers <-chan chan answer) {
	encoder := json.NewEncoder(os.Stdout)
	for result := range answers {
		if err := encoder.Encode(<-result); err != nil {
			os.Exit(1) // nobody listens any more
		}
	}
}

func reply(line []byte) answer {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		// Not the error itself: it may quote the line, and with it a password.
		return answer{Outcome: failed, Text: "the request is not the JSON that ctrpull reads"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return asNode(ctx, asked)
}

// asNode tries the credentials in their order until one pulls, as the kubelet does. There is no anonymous attempt
// after them.
func asNode(ctx context.Context, asked request) answer {
	if len(asked.Credentials) == 0 {
		digest, err := pull(ctx, asked, credential{})
		return judge(digest, err, 1)
	}
	var last answer
	for number, one := range asked.Credentials {
		digest, err := pull(ctx, asked, one)
		last = judge(digest, err, number+1)
		if last.Outcome == ok {
			break
		}
	}
	return last
}
