// keyring says which credentials the kubelet would try for an image, with the kubelet's own code.
//
// It reads one JSON document a line, {"image": "…", "secrets": [{"type": "…", "data": {"key": "base64"}}]}, and answers
// each with one line: {"repository": "…", "matches": [{"secret": 0, "username": "base64", "password": "base64"}]} in the
// order of the tries, where `secret` counts from 0. {"error": "image"} is for an image that the kubelet cannot read,
// {"error": "secrets"} for Secrets with which it pulls nothing at all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"
)

type secret struct {
	Type corev1.SecretType `json:"type"`
	Data map[string][]byte `json:"data"`
}

type question struct {
	Image   string   `json:"image"`
	Secrets []secret `json:"secrets"`
}

// Bytes rather than texts: what is not UTF-8 has to come out as it went in.
type match struct {
	Secret   int    `json:"secret"`
	Username []byte `json:"username"`
	Password []byte `json:"password"`
}

type answer struct {
	Repository string  `json:"repository,omitempty"`
	Matches    []match `json:"matches"`
	Error      string  `json:"error,omitempty"`
}

func main() {
	// Keys that it cannot read are reported there, and they hold what was generated for them.
	klog.SetLogger(klog.Logger{})
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "keyring:", err)
		os.Exit(1)
	}
}

func run() error {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	for in.More() {
		var asked question
		if err := in.Decode(&asked); err != nil {
			return err
		}
		answered, err := look(asked)
		if err != nil {
			return err
		}
		if err := out.Encode(answered); err != nil {
			return err
		}
	}
	return nil
}

func look(asked question) (answer, error) {
	repository, _, _, err := parsers.ParseImageName(asked.Image)
	if err != nil {
		return answer{Error: "image"}, nil
	}
	listed := make([]corev1.Secret, len(asked.Secrets))
	for i, one := range asked.Secrets {
		listed[i].UID = types.UID(strconv.Itoa(i))
		listed[i].Type = one.Type
		listed[i].Data = one.Data
	}
	keyring, err := secrets.MakeDockerKeyring(listed, &credentialprovider.BasicDockerKeyring{})
	if err != nil {
		return answer{Repository: repository, Error: "secrets"}, nil
	}
	found, _ := keyring.Lookup(repository)
	matches := make([]match, len(found))
	for i, one := range found {
		if one.Source == nil || one.Source.Secret == nil {
			return answer{}, fmt.Errorf("a credential for %s does not say where it comes from", repository)
		}
		from, err := strconv.Atoi(one.Source.Secret.UID)
		if err != nil {
			return answer{}, err
		}
		matches[i] = match{from, []byte(one.Username), []byte(one.Password)}
	}
	return answer{Repository: repository, Matches: matches}, nil
}
