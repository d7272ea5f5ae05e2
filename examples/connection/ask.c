// SPDX-License-Identifier: MIT
// A child answers requests through a connection. A request is a header and a text, which the parent
// sends as one message without copying them together; the answer is the text, reversed.

#include <brood/brood.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct header {
    uint32_t number;
};

struct request {
    struct header header;
    char text[64];
};

static void check(brood_status status)
{
    if (status != BROOD_OK) {
        fprintf(stderr, "%s\n", brood_last_error());
        exit(EXIT_FAILURE);
    }
}

static void reverse(char *text, size_t length)
{
    for (size_t i = 0; i < length / 2; i++) {
        const char letter = text[i];
        text[i] = text[length - 1 - i];
        text[length - 1 - i] = letter;
    }
}

static int serve(void *arg)
{
    const brood_connection *end = arg;
    struct request request;
    brood_status status;
    size_t size;
    while ((status = brood_connection_receive(*end, &request, sizeof request, &size,
                                              BROOD_FOREVER)) == BROOD_OK) {
        reverse(request.text, size - sizeof request.header);
        check(brood_connection_send(*end, &request, size, BROOD_FOREVER));
    }
    return status == BROOD_CLOSED ? 0 : 1; // the parent has closed its end
}

static void ask(brood_connection end, uint32_t number, const char *text)
{
    struct header header = { number };
    const brood_part parts[] = { { &header, sizeof header }, { text, strlen(text) } };
    struct request answer;
    size_t size;
    check(brood_connection_send_parts(end, parts, 2, BROOD_SECONDS(20)));
    check(brood_connection_receive(end, &answer, sizeof answer, &size, BROOD_SECONDS(20)));
    printf("%u: %.*s\n", (unsigned)answer.header.number, (int)(size - sizeof header), answer.text);
}

int main(void)
{
    brood_init();

    brood_connection ours;
    brood_connection theirs;
    brood_process *server;
    brood_exit end;
    check(brood_connection_pair(&ours, &theirs, BROOD_DUPLEX));
    check(brood_process_start(&server, serve, &theirs, sizeof theirs, NULL));

    static const char *const texts[] = { "brood", "queue", "drawer" };
    for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ask(ours, i, texts[i]);

    check(brood_connection_close(ours));
    check(brood_process_join(server, BROOD_FOREVER, &end));
    printf("the server has ended with %d\n", brood_exit_number(end));
    brood_process_drop(server);
    check(brood_connection_destroy(ours));
    return 0;
}
