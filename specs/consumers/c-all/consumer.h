/* A second implementation of the specification, in C11: integers in, integers out.
   Letters and clause numbers are those of specs/; W is wide enough for every product. */
#ifndef CONSUMER_H
#define CONSUMER_H
#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int64_t I;
__extension__ typedef __int128 W;
typedef struct { I lo, hi; } Type;
typedef struct Json { char kind; int n; I i; char *s, **keys; struct Json **items; } Json;
/* Activations have the batch axis first. A real array has r, an integer array v. */
typedef struct { const char *name; Type type; int rank; I shape[6], size, *v; double *r; } Array;
typedef struct { char *s; size_t n, room; } Text;

_Noreturn void refuse(const char *why);
void require(int holds, const char *rule);
void *take(size_t count, size_t size);
void release(void);
char *copied(const char *s, size_t n);
void append(Text *text, const void *bytes, size_t n);
void print(Text *text, const char *s);
void print_integer(Text *text, I value);

Json *parse(const char *text, size_t n);
Json *get(const Json *object, const char *key);
void fields(const Json *object, const char *names);
const char *string(const Json *value);
I integer(const Json *value, I lo, I hi);
Array *array_of(const Json *operand);
Array *array(const char *name, Type type, int rank, const I *shape);
Array *vector(const char *name, I n);
void give(Array *a);
Array *operand(const char *name);

Type parse_type(const char *name);
void type_name(Type t, char *name);
int bits_of(Type t);
int storage_of(Type t, int *is_signed);
Type bounded(W lo, W hi);
I saturate(I x, I lo, I hi);
int rounding_of(const Json *attributes);
W divide(W n, W d, int rule);
I power(int shift);
I requantized(I acc, I mult, I shift, Type t, int rule);
void numbers(const char *op, const Json *attributes);

Array *apply(const char *kind, const Json *attributes, Array **a, int n, I work[4]);
void codes(const char *op, const Json *attributes);
void programs(const char *op, const Json *attributes);
void methods(const char *op, const Json *attributes);
extern Array *operands[4096];
extern int operand_count;
#endif
