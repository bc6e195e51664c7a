"""Whether an old spreadsheet (XLS) is whole.

An XLS has no checksums, and readers pass over what they do not know: a damaged record is a cell
that silently is not there. So the structure is checked before: the chains of sectors of the
container ([MS-CFB]) and the records of the workbook in it ([MS-XLS] 2.1), where all cells of a
sheet stand together, once each, within its dimensions.
"""

import struct

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_END, _LARGEST = 0xFFFFFFFE, 8224  # the end of a chain; the longest record
_BOF, _EOF, _BOUNDSHEET, _SST, _DIMENSIONS = 0x0809, 0x000A, 0x0085, 0x00FC, 0x0200
_LABELSST, _MULBLANK, _MULRK = 0x00FD, 0x00BE, 0x00BD
_CELLS = {0x0006, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E, 0x00D6, _LABELSST, _MULBLANK, _MULRK}
_ROWS = {0x0208, 0x00D7}  # Row and DBCell, before and behind the cells of some rows
# String, ShrFmla, Array, Table, Continue, EntExU2
_AMONG_CELLS = {0x0207, 0x04BC, 0x0221, 0x0236, 0x003C, 0x01C2}


class DamagedXls(ValueError):
    """The file is not a whole XLS."""


def check(content: bytes) -> None:
    """See that nothing is missing or out of place.

    Raises
    ------
    DamagedXls
        With what is wrong.
    """
    try:
        _check_records(_workbook(content))
    except (struct.error, IndexError):
        raise DamagedXls("it is cut off") from None


def _workbook(content: bytes) -> bytes:
    """The stream of the workbook out of the container."""
    if not content.startswith(MAGIC):
        raise DamagedXls("its beginning is spoilt")
    shift, mini_shift = struct.unpack_from("<HH", content, 30)
    if shift not in (9, 12) or mini_shift != 6:
        raise DamagedXls("its sectors have no possible size")
    size = 1 << shift

    def sector(number: int) -> bytes:
        found = content[(number + 1) * size : (number + 2) * size]
        if len(found) < size:
            raise DamagedXls(f"sector {number} is cut off")
        return found

    def numbers(sectors: list[int]) -> list[int]:
        data = b"".join(map(sector, sectors))
        return list(struct.unpack(f"<{len(data) // 4}I", data))

    head = struct.unpack_from("<8I", content, 44)
    fat_count, directory, _, mini_limit, mini_fat, _, more, _ = head
    fat_sectors = list(struct.unpack_from("<109I", content, 76))
    for _ in range(len(content) // size):
        if more >= _END:
            break
        *further, more = numbers([more])
        fat_sectors += further
    fat_sectors = fat_sectors[:fat_count]
    if len(fat_sectors) < fat_count:
        raise DamagedXls("its table of sectors is incomplete")
    fat = numbers(fat_sectors)
    entries = b"".join(map(sector, _chain(fat, directory)))
    root_start, found = None, None
    for at in range(0, len(entries), 128):
        length, kind = struct.unpack_from("<HB", entries, at + 64)
        name = entries[at : at + max(length - 2, 0)].decode("utf-16-le", "replace")
        start, size_ = struct.unpack_from("<II", entries, at + 116)
        if kind == 5:
            root_start = start
        elif kind == 2 and name in ("Workbook", "Book"):
            found = start, size_
    if found is None or root_start is None:
        raise DamagedXls("there is no workbook in it")
    start, length = found
    if length >= mini_limit:
        stream = b"".join(map(sector, _chain(fat, start)))
    else:
        small = b"".join(map(sector, _chain(fat, root_start)))
        chain = _chain(numbers(_chain(fat, mini_fat)), start)
        stream = b"".join(small[n << mini_shift : (n + 1) << mini_shift] for n in chain)
    if len(stream) < length:
        raise DamagedXls("its workbook is cut off")
    return stream[:length]


def _chain(table: list[int], start: int) -> list[int]:
    """The sectors from ``start`` to the end of their chain."""
    chain: list[int] = []
    while start != _END:
        if start >= len(table) or len(chain) > len(table):
            raise DamagedXls("a chain of sectors leads nowhere")
        chain.append(start)
        start = table[start]
    return chain


def _check_records(stream: bytes) -> None:
    at, depth, texts = 0, 0, 0
    begins, named = set(), set()
    cells: set[tuple[int, int]] = set()
    bounds, begun, strange = None, False, None
    while at < len(stream):
        if not depth and not any(stream[at:]):
            break  # the rest of the last sector
        kind, length = struct.unpack_from("<HH", stream, at)
        body = stream[at + 4 : at + 4 + length]
        if length > _LARGEST or len(body) < length or (not depth and kind != _BOF):
            raise DamagedXls(f"record {kind:#06x} at {at} has no possible length or place")
        if kind == _BOF:
            if not depth:
                begins.add(at)
                cells, bounds, begun, strange = set(), None, False, None
            depth += 1
        elif kind == _EOF:
            depth -= 1
        elif depth > 1:
            pass  # a chart in a sheet
        elif kind == _BOUNDSHEET:
            named.add(struct.unpack_from("<I", body)[0])
        elif kind == _SST:
            texts = struct.unpack_from("<I", body, 4)[0]
        elif kind == _DIMENSIONS and length >= 12:
            bounds = struct.unpack_from("<IIHH", body)
        elif kind in _CELLS or kind in _ROWS:
            if strange is not None:
                raise DamagedXls(f"record {strange:#06x} stands among the cells of a sheet")
            begun = True
            if kind in _ROWS:
                at += 4 + length
                continue
            row, column = struct.unpack_from("<HH", body)
            end = column + 1
            if kind in (_MULRK, _MULBLANK):
                end = struct.unpack_from("<H", body, length - 2)[0] + 1
                each = 6 if kind == _MULRK else 2
                if end - column != (length - 6) / each:
                    raise DamagedXls(f"the cells of row {row + 1} do not fit their record")
            here = {(row, c) for c in range(column, end)}
            outside = bounds and not (
                bounds[0] <= row < bounds[1] and bounds[2] <= column < end <= bounds[3]
            )
            if outside or here & cells:
                raise DamagedXls(f"a cell of row {row + 1} is out of place")
            if kind == _LABELSST and struct.unpack_from("<I", body, 6)[0] >= texts:
                raise DamagedXls(f"a text of row {row + 1} is not there")
            cells |= here
        elif begun and kind not in _AMONG_CELLS:
            strange = kind
        at += 4 + length
    if depth:
        raise DamagedXls("its last sheet is cut off")
    if not named or not named <= begins:
        raise DamagedXls("a sheet is not where it should be")
