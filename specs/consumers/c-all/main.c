/* The protocol of `refnet vectors check --sut`: a JSON line in, a JSON line out. */
#include "consumer.h"

Array *operands[4096];
int operand_count;
static Array *outputs[4096];
static int output_count;
static jmp_buf start;
static const char *reason;

_Noreturn void refuse(const char *why) { reason = why; longjmp(start, 1); }

void give(Array *a) {
    require(output_count < 4096, "too many outputs");
    outputs[output_count++] = a;
}

Array *operand(const char *name) {
    for (int i = 0; i < operand_count; i++)
        if (!strcmp(operands[i]->name, name)) return operands[i];
    refuse("an operand is missing");
}

static void answer(const char *op, const Json *attributes) {
    I work[4];
    if (!strcmp(op, "result_type") || !strcmp(op, "work")) {
        static const char *const names[] = {"macs", "additions", "multiplications", "comparisons"};
        fields(attributes, "op attributes");
        Array *y = apply(string(get(attributes, "op")), get(attributes, "attributes"),
                         operands, operand_count, work);
        if (op[0] == 'w')
            for (int i = 0; i < 4; i++) vector(names[i], 1)->v[0] = work[i];
        else {
            Array *range = vector("range", 2), *shape = vector("shape", y->rank - 1);
            range->v[0] = y->type.lo, range->v[1] = y->type.hi;
            memcpy(shape->v, y->shape + 1, (size_t)shape->size * sizeof(I));
        }
    } else if (op[0] >= 'A' && op[0] <= 'Z' && strcmp(op, "Program")) {
        Array *y = apply(op, attributes, operands, operand_count, work);
        y->name = "y";
        give(y);
    } else {
        numbers(op, attributes);
        codes(op, attributes);
        programs(op, attributes);
        methods(op, attributes);
    }
}

static void print_outputs(Text *text) {
    for (int i = 0; i < output_count; i++) {
        Array *a = outputs[i];
        print(text, i ? ",\"" : "\"");
        print(text, a->name);
        print(text, "\":{\"shape\":[");
        for (int k = 0; k < a->rank; k++) { print(text, k ? "," : ""); print_integer(text, a->shape[k]); }
        print(text, "],\"data\":[");
        for (I k = 0; k < a->size; k++) {
            print(text, k ? "," : "");
            if (a->r) {
                uint64_t pattern; char hex[24];
                memcpy(&pattern, &a->r[k], 8);
                sprintf(hex, "\"%016llx\"", (unsigned long long)pattern);
                print(text, hex);
            } else print_integer(text, a->v[k]);
        }
        print(text, "]}");
    }
}

static void reply(const char *line, size_t n) {
    const char *volatile id = "";
    output_count = operand_count = 0;
    reason = NULL;
    if (!setjmp(start)) {
        Json *question = parse(line, n), *given = get(question, "operands");
        id = string(get(question, "id"));
        require(given->n <= 4096, "too many operands");
        for (int i = 0; i < given->n; i++) operands[operand_count++] = array_of(given->items[i]);
        answer(string(get(question, "op")), get(question, "attributes"));
    }
    Text text = {0};
    print(&text, "{\"id\":\""), print(&text, id), print(&text, "\",\"");
    print(&text, reason ? "error\":\"" : output_count ? "outputs\":{" : "unsupported\":\"op");
    if (reason) print(&text, reason);
    else print_outputs(&text);
    print(&text, reason || !output_count ? "\"}\n" : "}}\n");
    fwrite(text.s, 1, text.n, stdout);
    fflush(stdout);
    release();
}

int main(void) {
    char *line = NULL;
    size_t room = 0, n = 0;
    for (int c; (c = getchar()) != EOF;) {
        if (n == room && !(line = realloc(line, room = room * 2 + 4096))) return 1;
        if (c != '\n') line[n++] = (char)c;
        else reply(line, n), n = 0;
    }
    free(line);
    return 0;
}
