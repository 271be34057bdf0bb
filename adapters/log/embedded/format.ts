/**
 * The stored form of a batch: the records of one partition that one commit wrote, as one value.
 *
 * Columns rather than rows, so that reading costs one pass over fixed-width numbers and a view per value:
 *
 *     0  u32  format (MAGIC)                 32      f64[count]  timestamps
 *     4  u32  CRC-32 of [16, end)            then    u32[count]  end of each value
 *     8  f64  offset of the first record     then    u32[count]  end of each key x 2, + 1 when there is no key
 *    16  u32  count                          then    u32[count]  end of each header text (only with HAS_HEADERS)
 *    20  u32  flags                          then    the keys, the header texts (JSON), the values
 *    24  f64  largest timestamp
 *
 * All little-endian; ends count from the start of their own section. LMDB's transactions rule out half-written
 * values, but not bits that rot on the disk: hence the checksum, which costs little beside the copy.
 */
export const MAGIC = 0x31424c53;
export const HEADER_BYTES = 32;
export const CRC_AT = 4;
export const BASE_AT = 8;
export const COUNT_AT = 16;
export const FLAGS_AT = 20;
export const MAX_TIMESTAMP_AT = 24;
/** The base offset is not covered: it is known only inside the write transaction, and the row's key repeats it. */
export const CHECKED_FROM = COUNT_AT;

/** Every key is ASCII: positions in the text are positions in the bytes. */
export const ASCII_KEYS = 1;
export const HAS_HEADERS = 2;
