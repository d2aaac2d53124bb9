// Reads what the dynamic loaders of Linux, macOS and Windows read of a shared library: for which machine it is, what it
// exports, and what it asks for. Every field is read by its offset in the format, so no tool of any system is needed.

export interface Binary {
  readonly format: 'elf' | 'mach-o' | 'pe';
  /** As `process.arch` names it. */
  readonly cpu: string;
  readonly exports: readonly string[];
  /** Symbols that some other library of the process must have; not known for PE, where libraries are named. */
  readonly imports: readonly string[];
  /** Libraries that are loaded with it. */
  readonly libraries: readonly string[];
  /** What else a loader may refuse, or a reader wants to know. */
  readonly notes: readonly string[];
}

/** Integers of one byte order, and text. */
class Reader {
  readonly #bytes: Buffer;
  readonly #little: boolean;

  constructor(bytes: Buffer, little: boolean) {
    this.#bytes = bytes;
    this.#little = little;
  }

  get size(): number {
    return this.#bytes.length;
  }

  u8(at: number): number {
    return this.#bytes.readUInt8(at);
  }

  u16(at: number): number {
    return this.#little ? this.#bytes.readUInt16LE(at) : this.#bytes.readUInt16BE(at);
  }

  u32(at: number): number {
    return this.#little ? this.#bytes.readUInt32LE(at) : this.#bytes.readUInt32BE(at);
  }

  u64(at: number): number {
    return Number(this.#little ? this.#bytes.readBigUInt64LE(at) : this.#bytes.readBigUInt64BE(at));
  }

  text(at: number): string {
    return this.#bytes.toString('latin1', at, this.#bytes.indexOf(0, at));
  }
}

function nameOf(names: Readonly<Record<number, string>>, code: number): string {
  return names[code] ?? `unknown machine 0x${code.toString(16)}`;
}

// ---- ELF ----

const elfMachines = { 62: 'x64', 183: 'arm64', 40: 'arm', 243: 'riscv64', 21: 'ppc64', 22: 's390x' };
const DT = { NEEDED: 1, STRTAB: 5, SYMTAB: 6, STRSZ: 10, SONAME: 14, TEXTREL: 22, FLAGS: 30, FLAGS_1: 0x6ffffffb };
const DT_VERNEED = 0x6ffffffe;
const DT_VERDEF = 0x6ffffffc;
const SHT_DYNSYM = 11;
const STATIC_TLS = 0x10;
const NODELETE = 0x8;

function readElf(bytes: Buffer): Binary {
  const wide = bytes[4] === 2;
  const read = new Reader(bytes, bytes[5] === 1);
  const word = (at: number): number => (wide ? read.u64(at) : read.u32(at));
  const programs = word(wide ? 32 : 28);
  const sections = word(wide ? 40 : 32);
  const [programSize, programCount, sectionSize, sectionCount] = [0, 2, 4, 6].map((i) =>
    read.u16((wide ? 54 : 42) + i),
  );
  const segments = Array.from({ length: programCount ?? 0 }, (_, i) => {
    const at = programs + i * (programSize ?? 0);
    const [offset, address, size] = wide ? [8, 16, 32] : [4, 8, 16];
    return { type: read.u32(at), offset: word(at + offset), address: word(at + address), size: word(at + size) };
  });
  const fileOffset = (address: number): number => {
    const segment = segments.find(
      (each) => each.type === 1 && address >= each.address && address < each.address + each.size,
    );
    if (segment === undefined) throw new Error(`ELF: no segment holds the address ${address}`);
    return address - segment.address + segment.offset;
  };
  const dynamic = segments.find(({ type }) => type === 2);
  if (dynamic === undefined) throw new Error('ELF: no dynamic section');
  const entries: [number, number][] = [];
  for (let at = dynamic.offset; word(at) !== 0; at += wide ? 16 : 8)
    entries.push([word(at), word(at + (wide ? 8 : 4))]);
  const value = (tag: number): number | undefined => entries.find(([each]) => each === tag)?.[1];
  const strings = fileOffset(value(DT.STRTAB) ?? 0);
  const notes: string[] = [];
  if (value(DT_VERNEED) !== undefined || value(DT_VERDEF) !== undefined) notes.push('versioned symbols');
  if (((value(DT.FLAGS) ?? 0) & STATIC_TLS) !== 0) notes.push('static TLS');
  if (value(DT.TEXTREL) !== undefined) notes.push('text relocations');
  if (((value(DT.FLAGS_1) ?? 0) & NODELETE) !== 0) notes.push('nodelete');
  const soname = value(DT.SONAME);
  if (soname !== undefined) notes.push(`soname ${read.text(strings + soname)}`);
  const exported: string[] = [];
  const imported: string[] = [];
  for (let i = 0; i < (sectionCount ?? 0); i++) {
    const section = sections + i * (sectionSize ?? 0);
    if (read.u32(section + 4) !== SHT_DYNSYM) continue;
    const offset = word(section + (wide ? 24 : 16));
    const size = word(section + (wide ? 32 : 20));
    const each = wide ? 24 : 16;
    for (let at = offset + each; at < offset + size; at += each) {
      const name = read.text(strings + read.u32(at));
      const undefinedSymbol = read.u16(at + (wide ? 6 : 14)) === 0;
      (undefinedSymbol ? imported : exported).push(name);
    }
  }
  return {
    format: 'elf',
    cpu: nameOf(elfMachines, read.u16(18)),
    exports: exported.sort(),
    imports: imported.sort(),
    libraries: entries.filter(([tag]) => tag === DT.NEEDED).map(([, name]) => read.text(strings + name)),
    notes,
  };
}

// ---- Mach-O ----

const machMachines = { 16777223: 'x64', 16777228: 'arm64' };
const LC = { SYMTAB: 2, LOAD_DYLIB: 0xc, ID_DYLIB: 0xd, CODE_SIGNATURE: 0x1d, BUILD_VERSION: 0x32 };

/** What a linker adds to every library. */
const machLinkerNames = new Set(['__dso_handle', '_mh_dylib_header']);

function versionOf(packed: number): string {
  return `${packed >>> 16}.${(packed >>> 8) & 0xff}`;
}

function readMachO(bytes: Buffer): Binary {
  const read = new Reader(bytes, true);
  const libraries: string[] = [];
  const notes: string[] = [];
  const exported: string[] = [];
  const imported: string[] = [];
  for (let i = 0, at = 32; i < read.u32(16); i++, at += read.u32(at + 4)) {
    const command = read.u32(at) & 0x7fffffff;
    if (command === LC.LOAD_DYLIB) libraries.push(read.text(at + read.u32(at + 8)));
    if (command === LC.ID_DYLIB) notes.push(`name ${read.text(at + read.u32(at + 8))}`);
    if (command === LC.CODE_SIGNATURE) notes.push('signed');
    if (command === LC.BUILD_VERSION) notes.push(`platform ${read.u32(at + 8)} from ${versionOf(read.u32(at + 12))}`);
    if (command !== LC.SYMTAB) continue;
    const [symbols, count, strings] = [8, 12, 16].map((offset) => read.u32(at + offset)) as [number, number, number];
    for (let n = 0; n < count; n++) {
      const symbol = symbols + n * 16;
      const type = read.u8(symbol + 4);
      const external = (type & 1) !== 0 && (type & 0xe0) === 0;
      if (!external) continue;
      const name = read.text(strings + read.u32(symbol)).replace(/^_/, '');
      if ((type & 0x0e) === 0) imported.push(name);
      else if (!machLinkerNames.has(name)) exported.push(name);
    }
  }
  const cpu = nameOf(machMachines, read.u32(4));
  return { format: 'mach-o', cpu, exports: exported.sort(), imports: imported.sort(), libraries, notes };
}

// ---- PE ----

const peMachines = { 34404: 'x64', 43620: 'arm64' };

function readPe(bytes: Buffer): Binary {
  const read = new Reader(bytes, true);
  const header = read.u32(0x3c) + 4;
  const optional = header + 20;
  if (read.u16(optional) !== 0x20b) throw new Error('PE: not a 64-bit image');
  const sections = Array.from({ length: read.u16(header + 2) }, (_, i) => {
    const at = optional + read.u16(header + 16) + i * 40;
    return { address: read.u32(at + 12), size: read.u32(at + 16), offset: read.u32(at + 20) };
  });
  const fileOffset = (address: number): number => {
    const section = sections.find((each) => address >= each.address && address < each.address + each.size);
    if (section === undefined) throw new Error(`PE: no section holds the address ${address}`);
    return address - section.address + section.offset;
  };
  const exportTable = fileOffset(read.u32(optional + 112));
  const names = fileOffset(read.u32(exportTable + 32));
  const exported = Array.from({ length: read.u32(exportTable + 24) }, (_, i) =>
    read.text(fileOffset(read.u32(names + i * 4))),
  );
  const libraries: string[] = [];
  for (let at = fileOffset(read.u32(optional + 120)); read.u32(at + 12) !== 0; at += 20) {
    libraries.push(read.text(fileOffset(read.u32(at + 12))));
  }
  const notes = (read.u16(header + 18) & 0x2000) !== 0 ? ['library'] : [];
  const cpu = nameOf(peMachines, read.u16(header));
  return { format: 'pe', cpu, exports: exported.sort(), imports: [], libraries, notes };
}

/** @throws an `Error` for a file of another format */
export function readBinary(bytes: Buffer): Binary {
  const magic = bytes.length < 64 ? '' : bytes.toString('hex', 0, 4);
  if (magic === '7f454c46') return readElf(bytes);
  if (magic === 'cffaedfe') return readMachO(bytes);
  if (magic.startsWith('4d5a')) return readPe(bytes);
  throw new Error('neither ELF nor Mach-O nor PE');
}
