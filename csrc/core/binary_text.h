/* binary_text.h -- bytes written as hex or base64, read strictly.
 *
 *     MW_HEX        "fa03"     lower case alone
 *     MW_BASE64     "+gM="     + and /, padded
 *     MW_BASE64URL  "-gM"      - and _, not padded
 *
 * One value has one spelling: no white space, no other case, no bits left over behind the last byte. So of a
 * signature in text every bit counts, and changing one of them makes it another signature or none.
 */
#ifndef MW_BINARY_TEXT_H
#define MW_BINARY_TEXT_H

#include "buf.h"

enum mw_binary_text { MW_HEX, MW_HEX_UPPER, MW_BASE64, MW_BASE64URL };

/* The name that scripts use: "hex", "HEX", "base64", "base64url". False: no such form. */
bool mw_binary_text_named(struct mw_span name, enum mw_binary_text *form);

/* `out` has room for text.len bytes. False, with *len at 0, if the text is not of that form. */
bool mw_binary_text_read(enum mw_binary_text form, struct mw_span text, uint8_t *out, size_t *len);

#endif
