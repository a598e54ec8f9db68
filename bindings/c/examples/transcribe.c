/* Writes what is said in audio files: cc transcribe.c $(pkg-config --cflags --libs vivavoce) && ./a.out speech.wav */

#include <stdio.h>
#include <vivavoce.h>

int main(int argc, char **argv) {
    VivavoceRecognizer *recognizer = NULL;
    int failed = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE...\n", argv[0]);
        return 2;
    }
    if (vivavoce_recognizer_new(NULL, NULL, &recognizer) != VIVAVOCE_STATUS_OK) {
        fprintf(stderr, "error: %s\n", vivavoce_last_error());
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        char *transcript = NULL;
        if (vivavoce_transcribe_file(recognizer, argv[i], NULL, NULL, NULL, &transcript) != VIVAVOCE_STATUS_OK) {
            fprintf(stderr, "error: %s\n", vivavoce_last_error());
            failed = 1;
            continue;
        }
        puts(transcript);
        vivavoce_text_free(transcript);
    }
    vivavoce_recognizer_free(recognizer);
    return failed;
}
