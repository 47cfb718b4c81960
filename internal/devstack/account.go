package devstack

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// serverUser is the account that Debian's package makes for the server.
const serverUser = "postgres"

// serverAccount is whom the server runs as: nil for ourselves.
func serverAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(serverUser)
	if err != nil {
		return nil, fmt.Errorf("find the account that runs the server for root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read user id: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read group id: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// ownDir creates dir where missing and gives root's to the server's account. A
// directory that is a third account's is left alone: the server would refuse it.
func ownDir(dir string, account *syscall.Credential) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if account == nil {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	switch owner := info.Sys().(*syscall.Stat_t).Uid; owner {
	case account.Uid:
		return nil
	case 0:
		return os.Chown(dir, int(account.Uid), int(account.Gid))
	default:
		return fmt.Errorf("%s belongs to the user with id %d: start as that user, or use another directory", dir, owner)
	}
}
