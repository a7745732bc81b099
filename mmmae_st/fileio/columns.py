"""Columns of numbers in an uncompressed .npz, mapped into memory instead of read."""

import io
import mmap
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

import numpy as np

from mmmae_st.fileio.atomic_file import written_whole

LOCAL_HEADER = 30  # bytes before the name in a zip file; the lengths of name and extra end it


def write_columns(path: str | Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write arrays to one file, which ``numpy.load`` reads as well."""
    with written_whole(path) as temporary:
        np.savez(temporary, allow_pickle=False, **columns)


def map_columns(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file on the local disk; what is looked at is read, and shared by processes.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not what :func:`write_columns` writes, or not whole.
    """
    with open(path, 'rb') as file:
        if not os.fstat(file.fileno()).st_size:
            raise ValueError(f'{path} is empty')
        return columns_in(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), str(path))


def columns_in(data: bytes | mmap.mmap, name: str) -> dict[str, np.ndarray]:
    """The arrays in the bytes of such a file, not copied.

    Args:
        data: The bytes.
        name: What messages call them.

    Raises:
        ValueError: They are not what :func:`write_columns` writes, or not whole.
    """
    try:
        source = io.BytesIO(data) if isinstance(data, bytes) else cast(IO[bytes], data)
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
        return {member.filename.removesuffix('.npy'): _array(data, member) for member in members}
    except (zipfile.BadZipFile, ValueError, struct.error, EOFError) as error:
        raise ValueError(f'{name} is damaged, or no .npz file: {error}') from error


def _array(data: bytes | mmap.mmap, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f'{member.filename} is compressed')
    begin = member.header_offset
    name_and_extra = struct.unpack('<HH', data[begin + LOCAL_HEADER - 4 : begin + LOCAL_HEADER])
    begin += LOCAL_HEADER + sum(name_and_extra)
    head = io.BytesIO(data[begin : begin + min(member.file_size, 2**16)])
    version = np.lib.format.read_magic(head)
    if version != (1, 0):
        raise ValueError(f'{member.filename} has a header of version {version}')
    shape, _, dtype = np.lib.format.read_array_header_1_0(head)
    if dtype.hasobject or len(shape) != 1:
        raise ValueError(f'{member.filename} is no column of numbers')
    return np.frombuffer(data, dtype, shape[0], begin + head.tell())
