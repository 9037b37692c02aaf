#include "spool_pieces.h"

enum { KEY_LEN = 12 };

int mw_pieces_put(MDB_cursor *cursor, const MDB_val *key, const uint8_t *pack, size_t len)
{
	uint8_t piece_key[MW_PIECE_KEY_LEN];
	memcpy(piece_key, key->mv_data, KEY_LEN);
	size_t number = 0;
	int rc = 0;
	for (; rc == 0 && len > 0 && number <= UINT16_MAX; number++) {
		size_t piece_len = len < MW_PIECE_MAX ? len : MW_PIECE_MAX;
		piece_key[KEY_LEN] = (uint8_t)(number >> 8);
		piece_key[KEY_LEN + 1] = (uint8_t)number;
		MDB_val k = {number == 0 ? KEY_LEN : sizeof piece_key, piece_key};
		MDB_val v = {piece_len, (void *)(uintptr_t)pack};
		rc = mdb_cursor_put(cursor, &k, &v, MDB_NOOVERWRITE);
		pack += piece_len;
		len -= piece_len;
	}
	return rc == 0 && len > 0 ? MDB_BAD_VALSIZE : rc;
}

int mw_pieces_seek(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	MDB_cursor_op further = op == MDB_PREV || op == MDB_LAST ? MDB_PREV : MDB_NEXT;
	int rc = mdb_cursor_get(cursor, key, value, op);
	while (rc == 0 && key->mv_size == MW_PIECE_KEY_LEN)
		rc = mdb_cursor_get(cursor, key, value, further);
	return rc;
}

struct mw_span mw_pieces_join(MDB_cursor *cursor, const MDB_val *first, struct mw_buf *room)
{
	struct mw_pack_head head;
	struct mw_span pack = {first->mv_data, first->mv_size};
	if (!mw_pack_head(pack, &head) || head.size == pack.len)
		return pack;
	mw_buf_clear(room);
	if (mw_buf_append_span(room, pack) != MW_OK)
		return pack;
	MDB_val key, value;
	while (room->len < head.size && mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		if (key.mv_size == MW_PIECE_KEY_LEN &&
		    mw_buf_append(room, value.mv_data, value.mv_size) == MW_OK)
			continue;
		mdb_cursor_get(cursor, &key, &value, MDB_PREV);
		break;
	}
	return mw_buf_span(room);
}
