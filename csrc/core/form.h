/* form.h -- application/x-www-form-urlencoded bodies as JSON, so that one mapping language fits both.
 *
 *     a=1&b=x%20y           {"a":"1","b":"x y"}          every value is a string
 *     to=a&to=b             {"to":["a","b"]}             a repeated name is an array
 *     data[merges][E]=x     {"data":{"merges":{"E":"x"}}}
 *     tags[]=a&tags[]=b     {"tags":["a","b"]}
 */
#ifndef MW_FORM_H
#define MW_FORM_H

#include "buf.h"

/* Append the JSON to `out`. MW_INVALID with the offset for a broken %-escape, bytes that are not UTF-8, names
 * nested deeper than 8 or one name used both as a value and as an object; MW_TOO_LARGE for over
 * 10,000 pairs; on error the buffer is as it was. */
enum mw_err mw_form_to_json(struct mw_span body, struct mw_buf *out, struct mw_error *e);

#endif
