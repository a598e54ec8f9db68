/* Writes what is being said in 16-bit mono samples on stdin, as JSON lines:
   arecord -f S16_LE -r 16000 | ./stream 16000 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <vivavoce.h>

static int fail(void) {
    fprintf(stderr, "error: %s\n", vivavoce_last_error());
    return 1;
}

/* Prints all events that wait. */
static int print_events(VivavoceSession *session) {
    for (;;) {
        char *event = NULL;
        if (vivavoce_session_next(session, &event) != VIVAVOCE_STATUS_OK) return fail();
        if (event == NULL) return 0;
        puts(event);
        vivavoce_text_free(event);
    }
}

int main(int argc, char **argv) {
    uint32_t rate = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    VivavoceRecognizer *recognizer = NULL;
    VivavoceSession *session = NULL;
    int16_t samples[1600];
    size_t count;
    int failed = 0;

    if (vivavoce_recognizer_new(NULL, NULL, &recognizer) != VIVAVOCE_STATUS_OK) return fail();
    if (vivavoce_session_new(recognizer, rate, "{\"latency\": \"low\"}", &session) != VIVAVOCE_STATUS_OK) {
        failed = fail();
    }
    while (!failed && (count = fread(samples, sizeof samples[0], 1600, stdin)) > 0) {
        if (vivavoce_session_accept_i16(session, samples, count) != VIVAVOCE_STATUS_OK) failed = fail();
        failed |= print_events(session);
    }
    if (!failed) {
        if (vivavoce_session_finish(session) != VIVAVOCE_STATUS_OK) failed = fail();
        failed |= print_events(session);
    }
    vivavoce_session_free(session);
    vivavoce_recognizer_free(recognizer);
    return failed;
}
