/* pack.h -- messages of one lane that are stored together: one value of the spool.
 *
 *   | head_sum | body_sum | bytes_before | bytes | since | count u32 | size u32 |     head, 48 bytes
 *   | len u32 | flags u32 | tag i64 | message |  ...                                  body: `count` records
 *
 * A lane's packs are numbered by the first message in them, counted from the lane's beginning. What came
 * before is told by each: so the newest pack and the lane's own row say how much is queued without a look at
 * the backlog. Damage to either part is seen by its checksum.
 *
 * Pure. Numbers are in the machine's own byte order: a spool does not travel between machines of different
 * ones.
 */
#ifndef MW_PACK_H
#define MW_PACK_H

#include "buf.h"

/* A page of 4096 bytes, less what LMDB puts before a large value (io/spool_pieces.h has the reason). A pack
 * of one large message is longer. */
#define MW_PACK_MAX (4096 - 16)

struct mw_pack_head {
	uint64_t head_sum; /* of what follows in the head */
	uint64_t body_sum;
	uint64_t bytes_before; /* of all messages of the lane before this pack */
	uint64_t bytes;        /* of the messages in it */
	int64_t since;         /* ms; when they came */
	uint32_t count;
	uint32_t size; /* of head and body */
};

/* What a message adds to a pack. */
size_t mw_pack_record_size(size_t message_len);

/* Write a pack of a known size: begin, add each message, end. */
struct mw_pack_writer {
	uint8_t *start;
	uint8_t *at;
	struct mw_pack_head head;
};
void mw_pack_begin(struct mw_pack_writer *w, void *room, uint64_t bytes_before, int64_t since);
void mw_pack_add(struct mw_pack_writer *w, struct mw_span message, int64_t tag);
void mw_pack_end(struct mw_pack_writer *w);

/* False if the head is damaged, or `value` is no pack; it may be the first part of one. */
bool mw_pack_head(struct mw_span value, struct mw_pack_head *out);

struct mw_pack {
	struct mw_pack_head head;
	const uint8_t *at;
	const uint8_t *end;
};

/* False if any of it is damaged or missing: looks at every byte. */
bool mw_pack_open(struct mw_span value, struct mw_pack *out);

/* The next message; false behind the last, or where none fits into the rest. Borrowed from the value. */
bool mw_pack_next(struct mw_pack *p, struct mw_span *message, int64_t *tag);

#endif
