"""From a bucket and key to the file that holds it, and a sealed draft to its place."""

import contextlib
import errno
import os
import stat
from pathlib import Path

from lakelet.model.errors import BucketNotFound, ObjectNotFound
from lakelet.store.errors import KeyRefused
from lakelet.store.keys import aside_path, check_bucket_name, encode_folder, encode_key

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO never blocks us
_ATTEMPTS_MAX = 16  # each is another process making or pruning the same folder just then


class Places:
    """The tree `<root>/<bucket>/<key>`. Symbolic links in it are never followed.

    `publish` and `remove` want the caller's lock where one key may be written twice at once.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = os.path.realpath(root)

    # --- buckets ------------------------------------------------------------------

    def bucket(self, bucket: str) -> str:
        """Its folder. Raises BucketNotFound."""
        try:
            check_bucket_name(bucket)
            path = f"{self.root}/{bucket}"
            if stat.S_ISDIR(os.lstat(path).st_mode):
                return path
        except (FileNotFoundError, KeyRefused):
            pass
        raise BucketNotFound(
            f"The specified bucket does not exist: {bucket!r}.",
            hint="Create it first, or look: aws s3 ls",
        )

    # --- reading ------------------------------------------------------------------

    def own_path(self, bucket: str, key: str) -> str:
        """Where the key's file lies by its name. Raises KeyRefused."""
        return f"{self.root}/{bucket}/{encode_key(key)}"

    def folder(self, bucket: str, prefix: str) -> str | None:
        """The folder of a prefix that ends in `/` (or is empty), if it is there."""
        self.bucket(bucket)
        relative = encode_folder(prefix)
        if relative is None:
            return None
        path = f"{self.root}/{bucket}/{relative}".rstrip("/")
        return path if os.path.realpath(path) == path else None

    def open(self, bucket: str, key: str) -> tuple[int, os.stat_result, str]:
        """A descriptor on the object's file. Raises ObjectNotFound, BucketNotFound."""
        for path in self._candidates(bucket, key):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                opened = self._open_regular(path)
                if opened is not None:
                    return *opened, path
        raise self.not_found(bucket, key)

    def find(self, bucket: str, key: str) -> tuple[str, os.stat_result] | None:
        """The object's file and its state; None where there is none."""
        for path in self._candidates(bucket, key):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                info = os.lstat(path)
                if stat.S_ISREG(info.st_mode):
                    return path, info
        return None

    def not_found(self, bucket: str, key: str) -> Exception:
        try:
            self.bucket(bucket)
        except BucketNotFound as error:
            return error
        return ObjectNotFound(
            f"The specified key does not exist: {key!r} in {bucket!r}.",
            hint=f"Look: aws s3 ls s3://{bucket}/",
        )

    def _candidates(self, bucket: str, key: str) -> tuple[str, ...]:
        """The own path first: a writer moves aside by one rename, so one of both is there."""
        try:
            check_bucket_name(bucket)
            path = self.own_path(bucket, key)
        except KeyRefused:
            return ()
        folder = path.rpartition("/")[0]
        if os.path.realpath(folder) != folder:  # a link on the way: not ours to follow
            return ()
        return path, aside_path(path)

    @staticmethod
    def _open_regular(path: str) -> tuple[int, os.stat_result] | None:
        try:
            descriptor = os.open(path, _OPEN_FLAGS)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
                return None
            raise
        info = os.fstat(descriptor)
        if stat.S_ISREG(info.st_mode):
            return descriptor, info
        os.close(descriptor)
        return None

    # --- writing ------------------------------------------------------------------

    def publish(self, draft: str, bucket: str, key: str, *, exclusive: bool) -> str:
        """Move a sealed draft to its key; on disk once `sync_folder` of its folder returned.

        Returns:
            The path it has now.
        Raises:
            FileExistsError: `exclusive`, and the object is there.
        """
        own = self.own_path(bucket, key)
        for _ in range(_ATTEMPTS_MAX):
            try:
                return self._place(draft, own, exclusive=exclusive)
            except FileNotFoundError:
                self.bucket(bucket)
                self._make_folders(own.rpartition("/")[0], bucket)
            except NotADirectoryError:
                self._move_ancestor_aside(own, bucket)
        raise OSError(errno.EBUSY, "the folder is being changed by others without end", own)

    def _place(self, draft: str, own: str, *, exclusive: bool) -> str:
        folder = own.rpartition("/")[0]
        if os.path.realpath(folder) != folder:
            raise KeyRefused(
                f"A symbolic link lies on the way to {own!r}.",
                hint="Links under the buckets' folder are not followed; replace it by a folder.",
            )
        aside = aside_path(own)
        target = aside if os.path.isdir(own) and not os.path.islink(own) else own  # noqa: PTH112, PTH114
        if exclusive:
            if os.path.lexists(aside):
                raise FileExistsError(errno.EEXIST, "exists", aside)
            self._link(draft, target)
        else:
            os.rename(draft, target)  # noqa: PTH104
        if target is own:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(aside)  # noqa: PTH108 - an older version, from when there was a folder
        return target

    @staticmethod
    def _link(draft: str, target: str) -> None:
        """A link fails where the target exists, whoever made it; not all file systems have it."""
        try:
            os.link(draft, target)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "exists", target) from error
            os.rename(draft, target)  # noqa: PTH104 - the caller's lock keeps this process's puts off
        else:
            os.unlink(draft)  # noqa: PTH108

    def _make_folders(self, folder: str, bucket: str) -> None:
        """Each new name is on disk before anything is put below it."""
        missing = []
        while not os.path.isdir(folder):  # noqa: PTH112
            missing.append(folder)
            folder = folder.rpartition("/")[0]
            if folder == f"{self.root}/{bucket}":
                break
        for path in reversed(missing):
            try:
                os.mkdir(path)  # noqa: PTH102
            except FileExistsError:
                if os.path.isdir(path):  # noqa: PTH112
                    continue
                raise NotADirectoryError(errno.ENOTDIR, "an object has this name", path) from None
            sync_folder(path.rpartition("/")[0])

    def _move_ancestor_aside(self, own: str, bucket: str) -> None:
        """An object lies where a folder must be: `a`, now that `a/b` comes."""
        path = f"{self.root}/{bucket}"
        for name in own[len(path) + 1 :].split("/")[:-1]:
            path = f"{path}/{name}"
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                return
            if stat.S_ISREG(mode):
                os.rename(path, aside_path(path))  # noqa: PTH104
                return
            if not stat.S_ISDIR(mode):
                raise KeyRefused(f"{path!r} is neither a file nor a folder.", hint="Move it away.")

    def remove(self, path: str, bucket: str) -> str:
        """Delete an object's file and the folders that it leaves empty.

        Returns:
            The folder to sync: the deepest that is still there.
        """
        os.unlink(path)  # noqa: PTH108
        folder, top = path.rpartition("/")[0], f"{self.root}/{bucket}"
        while folder != top:
            try:
                os.rmdir(folder)  # noqa: PTH106
            except OSError:  # not empty; or another process was first
                break
            folder = folder.rpartition("/")[0]
        return folder


def sync_folder(path: str) -> None:
    """The names in a folder are on disk on return; a folder that has gone needs no syncing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
