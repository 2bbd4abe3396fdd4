// clientgo-bench puts one image pull Secret into every namespace and attaches it to every
// ServiceAccount, with client-go, no rate limit and many workers: about as fast as an API
// server takes such work. Username and password come from BENCH_USERNAME and BENCH_PASSWORD.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
)

type job struct {
	client   kubernetes.Interface
	name     string
	content  []byte
	accounts atomic.Int64
	writes   atomic.Int64
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "clientgo-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig file")
	contextName := flag.String("context", "", "context in it; empty: its current one")
	secretName := flag.String("secret-name", "docker", "name of the Secret")
	server := flag.String("server", "", "registry host")
	prefix := flag.String("namespaces-prefix", "", "only namespaces whose names start so")
	workers := flag.Int("workers", 32, "namespaces at once")
	flag.Parse()

	client, err := connect(*kubeconfig, *contextName)
	if err != nil {
		return err
	}
	content, err := dockerConfig(*server, os.Getenv("BENCH_USERNAME"), os.Getenv("BENCH_PASSWORD"))
	if err != nil {
		return err
	}
	work := &job{client: client, name: *secretName, content: content}

	started := time.Now()
	count, err := work.everywhere(ctx, *prefix, *workers)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"seconds":          time.Since(started).Seconds(),
		"namespaces":       count,
		"service_accounts": work.accounts.Load(),
		"writes":           work.writes.Load(),
	})
}

func connect(kubeconfig, contextName string) (kubernetes.Interface, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: contextName},
	).ClientConfig()
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return kubernetes.NewForConfig(config)
}

func dockerConfig(server, username, password string) ([]byte, error) {
	return json.Marshal(map[string]any{"auths": map[string]any{server: map[string]string{
		"username": username,
		"password": password,
		"auth":     base64.StdEncoding.EncodeToString([]byte(username + ":" + password)),
	}}})
}

// everywhere returns the number of namespaces worked on, and the first error.
func (j *job) everywhere(ctx context.Context, prefix string, workers int) (int, error) {
	namespaces, err := j.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan string)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for namespace := range queue {
				if err := j.remediate(ctx, namespace); err != nil {
					cancel(fmt.Errorf("namespace %s: %w", namespace, err))
				}
			}
		})
	}
	count := 0
	for _, namespace := range namespaces.Items {
		if strings.HasPrefix(namespace.Name, prefix) && ctx.Err() == nil {
			queue <- namespace.Name
			count++
		}
	}
	close(queue)
	group.Wait()
	return count, context.Cause(ctx)
}

func (j *job) remediate(ctx context.Context, namespace string) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: j.name},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: j.content},
	}
	_, err := j.client.CoreV1().Secrets(namespace).Create(ctx, secret, metav1.CreateOptions{})
	if err == nil {
		j.writes.Add(1)
	} else if !apierrors.IsAlreadyExists(err) {
		return err
	}
	accounts, err := j.client.CoreV1().ServiceAccounts(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range accounts.Items {
		j.accounts.Add(1)
		if err := j.attach(ctx, &accounts.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// attach appends the name to the pull secrets of the account, unless it is there.
func (j *job) attach(ctx context.Context, account *corev1.ServiceAccount) error {
	accounts := j.client.CoreV1().ServiceAccounts(account.Namespace)
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		for _, reference := range account.ImagePullSecrets {
			if reference.Name == j.name {
				return nil
			}
		}
		account.ImagePullSecrets = append(
			account.ImagePullSecrets, corev1.LocalObjectReference{Name: j.name})
		_, err := accounts.Update(ctx, account, metav1.UpdateOptions{})
		if err == nil {
			j.writes.Add(1)
			return nil
		}
		if apierrors.IsConflict(err) {
			fresh, readError := accounts.Get(ctx, account.Name, metav1.GetOptions{})
			if readError != nil {
				return readError
			}
			account = fresh
		}
		return err
	})
}
