"""Parts of files from the local disk, a web server, a store of fsspec; other backends refused."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import fsspec
import pytest
from mmengine.fileio import BaseStorageBackend, list_dir_or_file, register_backend

from mmmae_st.fileio.byte_ranges import read_range, require_ranges
from mmmae_st.fileio.fsspec_backend import FsspecBackend

DATA = bytes(range(256))


@pytest.fixture
def server():
    """The address of a server of DATA; ``/whole`` ignores the range that is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            begin, end = self.headers['Range'].removeprefix('bytes=').split('-')
            partial = self.path == '/parts'
            self.send_response(206 if partial else 200)
            self.end_headers()
            self.wfile.write(DATA[int(begin) : int(end) + 1] if partial else DATA)

        def log_message(self, *args):
            pass

    with HTTPServer(('127.0.0.1', 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{http.server_port}'
        http.shutdown()


def test_local_files(tmp_path):
    path = tmp_path / 'x'
    path.write_bytes(DATA)
    assert read_range(str(path), 5, 10) == DATA[5:15]
    assert read_range(str(path), 250, 10) == DATA[250:]
    with pytest.raises(FileNotFoundError):
        read_range(str(tmp_path / 'none'), 0, 1)


def test_web_servers(server):
    assert read_range(f'{server}/parts', 5, 10) == DATA[5:15]
    with pytest.raises(OSError, match='whole sends no parts of files'):
        read_range(f'{server}/whole', 5, 10)


def test_stores_of_fsspec():
    files = fsspec.filesystem('memory')
    files.pipe({'/ranges/a/x.tar': DATA, '/ranges/y.tar': b'y', '/rangesing': b''})
    args = dict(backend='fsspec')
    assert read_range('memory://ranges/a/x.tar', 5, 10, args) == DATA[5:15]
    assert read_range('memory://ranges/a/x.tar', 250, 10, args) == DATA[250:]
    backend = FsspecBackend()
    assert backend.get('memory://ranges/y.tar') == b'y'
    assert backend.get_text('memory://ranges/y.tar') == 'y'
    assert backend.isdir('memory://ranges/a') and not backend.isfile('memory://ranges/a')
    assert backend.exists('memory://ranges/y.tar') and not backend.exists('memory://ranges/z')
    assert backend.join_path('memory://ranges/', 'a', 'x.tar') == 'memory://ranges/a/x.tar'

    def listed(**kinds):
        return sorted(list_dir_or_file('memory://ranges', backend_args=args, **kinds))

    assert listed() == ['a', 'y.tar']
    assert listed(list_dir=False, recursive=True) == ['a/x.tar', 'y.tar']
    assert listed(list_file=False) == ['a']
    with pytest.raises(FileNotFoundError):
        read_range('memory://ranges/none', 0, 1, args)


def test_backends_of_whole_files_are_refused():
    class Whole(BaseStorageBackend):
        def get(self, filepath):
            return DATA

        def get_text(self, filepath):
            return ''

    register_backend('whole_files_only', Whole, force=True)
    args = dict(backend='whole_files_only')
    for function in (lambda: require_ranges('x', args), lambda: read_range('x', 0, 1, args)):
        with pytest.raises(ValueError, match=r'Whole reads whole files only.*get_range\(path'):
            function()
