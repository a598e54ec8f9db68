// vivavoce: speech recognition that writes while you are still speaking.
//
// A recogniser is a model; a session is a stream of samples. Results and events are JSON texts in UTF-8. Nothing here throws,
// jumps or exits. Functions that can fail give a status and leave their `out` alone, or NULL, then; vivavoce_last_error says what was
// wrong, with the file. Options are a JSON object, in which what is absent is as the model has it:
//
//   {"latency": "low", "beam": 64, "search": "beam", "lm_weight": 0.6, "word_bonus": 0.5, "digits": true, "punctuate": true,
//    "alternatives": 3, "partials": true, "hotwords": ["new york", "kowalczyk : 4"], "grammar": ["yes", "no"], "unknown_cost": 9,
//    "endpoints": {"silence_s": 2.4, "after_speech_s": 1.2, "utterance_s": 20, "reset": false, "sleep": true,
//                  "pre_roll_s": 0.5, "voice_threshold": 0.5}}
//
// "endpoints" may be true or false. A transcript:
//
//   {"text": "...", "duration_s": 3.5, "warnings": [], "segments": [{"text": "...", "segment": 0, "start": 0.0, "time": 3.5,
//    "result": [{"word": "open", "start": 0.32, "end": 0.64, "conf": 0.93}]}]}
//
// Events have "event": "partial" (with "partial", "confirmed", "tentative", "time"), "endpoint" ("time"), or "final" (as a segment).
// Times are seconds from the start of the stream.


#pragma once

// Made by cbindgen of src/; VIVAVOCE_WRITE_HEADER=1 cargo test -p vivavoce-c-header writes it anew.

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// What came of a call.
typedef enum {
  // It was done.
  VIVAVOCE_STATUS_OK = 0,
  // A file cannot be read.
  VIVAVOCE_STATUS_ERROR_IO = 1,
  // A file is not audio that can be decoded.
  VIVAVOCE_STATUS_ERROR_AUDIO = 2,
  // Samples that are not numbers, a rate out of range, and the like.
  VIVAVOCE_STATUS_ERROR_SAMPLES = 3,
  // A model folder is incomplete or damaged.
  VIVAVOCE_STATUS_ERROR_MODEL = 4,
  // An option that there is not, or that is out of range.
  VIVAVOCE_STATUS_ERROR_CONFIG = 5,
  // A line of a list of hotwords or of a grammar cannot be used.
  VIVAVOCE_STATUS_ERROR_LIST = 6,
  // A call that does not fit the state, a null pointer, text that is not UTF-8.
  VIVAVOCE_STATUS_ERROR_USAGE = 7,
  // A callback asked to stop.
  VIVAVOCE_STATUS_STOPPED = 8,
  // A mistake of the library; the object of the call must not be used any more, only freed.
  VIVAVOCE_STATUS_ERROR_INTERNAL = 9,
} VivavoceStatus;

// A model that recognises. Any number of threads may use one; sessions keep what they need of it, so it may be freed before them.
typedef struct VivavoceRecognizer VivavoceRecognizer;

// One stream of samples. One thread uses it at a time.
typedef struct VivavoceSession VivavoceSession;

// Asked every few hundred milliseconds of work; what is not 0 stops it.
typedef int32_t (*VivavoceStop)(void *user);

// Told of each event, as JSON. The text is the library's and gone after the call.
typedef void (*VivavoceListener)(const char *event, void *user);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What the last call of this thread that failed says, for people; empty if none has. It stays until the next call that fails.
const char *vivavoce_last_error(void);

// The version of the library, such as "0.1.0".
const char *vivavoce_version(void);

// Frees a text that the library gave. NULL is nothing to free.
//
// # Safety
// `text` is from a function that says so, and was not freed.
void vivavoce_text_free(char *text);

// Loads a model: the folder `model`, or that inside the library if it is NULL. `how` is NULL for what the model holds, or "f32" or
// "int8". The recogniser goes to `out`; free it with vivavoce_recognizer_free.
//
// # Safety
// Texts are NULL or end with a zero; `out` can be written.
VivavoceStatus vivavoce_recognizer_new(const char *model,
                                       const char *how,
                                       VivavoceRecognizer **out);

// Frees a recogniser. NULL is nothing to free.
//
// # Safety
// It was made by vivavoce_recognizer_new, was not freed, and nobody uses it.
void vivavoce_recognizer_free(VivavoceRecognizer *recognizer);

// Rate in Hz of the samples that the model hears; 0 for NULL. Any rate from 8 to 192 kHz can be given.
//
// # Safety
// `recognizer` is NULL or one that was not freed.
uint32_t vivavoce_recognizer_rate(const VivavoceRecognizer *recognizer);

// Transcribes an audio file to its end. `options` is NULL or a JSON object. A transcript as JSON goes to `out`; free it with
// vivavoce_text_free. `stop` may be NULL.
//
// # Safety
// `recognizer` was not freed; texts are NULL or end with a zero; `out` can be written; `stop` can be called with `user`.
VivavoceStatus vivavoce_transcribe_file(const VivavoceRecognizer *recognizer,
                                        const char *path,
                                        const char *options,
                                        VivavoceStop stop,
                                        void *user,
                                        char **out);

// The same of the contents of an audio file; `name` stands for it in messages and may be NULL.
//
// # Safety
// As vivavoce_transcribe_file; `size` bytes stand at `contents`.
VivavoceStatus vivavoce_transcribe_contents(const VivavoceRecognizer *recognizer,
                                            const char *name,
                                            const uint8_t *contents,
                                            size_t size,
                                            const char *options,
                                            VivavoceStop stop,
                                            void *user,
                                            char **out);

// The same of `count` mono samples in [-1, 1] at `rate` Hz.
//
// # Safety
// As vivavoce_transcribe_file; `count` samples stand at `samples`.
VivavoceStatus vivavoce_transcribe_samples(const VivavoceRecognizer *recognizer,
                                           const float *samples,
                                           size_t count,
                                           uint32_t rate,
                                           const char *options,
                                           VivavoceStop stop,
                                           void *user,
                                           char **out);

// Begins a stream of mono samples at `rate` Hz, from 8 to 192 kHz; 0 is the model's rate. `options` is NULL or a JSON object. The
// session goes to `out`; free it with vivavoce_session_free.
//
// # Safety
// `recognizer` was not freed; `options` is NULL or ends with a zero; `out` can be written.
VivavoceStatus vivavoce_session_new(const VivavoceRecognizer *recognizer,
                                    uint32_t rate,
                                    const char *options,
                                    VivavoceSession **out);

// Frees a session. NULL is nothing to free.
//
// # Safety
// It was made by vivavoce_session_new, was not freed, and nobody uses it.
void vivavoce_session_free(VivavoceSession *session);

// From now on the calls that hear tell `listener` of each event, in the thread that makes them, and vivavoce_session_next gives
// nothing; NULL ends that. The listener must not use the session, nor jump out.
//
// # Safety
// `session` was not freed; `listener` can be called with `user` until another is set or the session is freed.
VivavoceStatus vivavoce_session_listen(VivavoceSession *session,
                                       VivavoceListener listener,
                                       void *user);

// Hears `count` samples in [-1, 1]. If one is not finite or far outside, nothing of the call is heard.
//
// # Safety
// `session` was not freed; `count` samples stand at `samples`.
VivavoceStatus vivavoce_session_accept_f32(VivavoceSession *session,
                                           const float *samples,
                                           size_t count);

// Hears `count` samples of 16 bits.
//
// # Safety
// `session` was not freed; `count` samples stand at `samples`.
VivavoceStatus vivavoce_session_accept_i16(VivavoceSession *session,
                                           const int16_t *samples,
                                           size_t count);

// Ends the stream, so that its last words come out. Does nothing the second time.
//
// # Safety
// `session` was not freed.
VivavoceStatus vivavoce_session_finish(VivavoceSession *session);

// Ends the segment here and lets its last word come out; listening goes on.
//
// # Safety
// `session` was not freed.
VivavoceStatus vivavoce_session_cut(VivavoceSession *session);

// Begins a new stream with the same options; events that were not taken are gone.
//
// # Safety
// `session` was not freed.
VivavoceStatus vivavoce_session_reset(VivavoceSession *session);

// The oldest event that was not yet taken, as JSON, goes to `out`; NULL if there is none. Free it with vivavoce_text_free.
//
// # Safety
// `session` was not freed; `out` can be written.
VivavoceStatus vivavoce_session_next(VivavoceSession *session,
                                     char **out);

// Seconds of audio heard; 0 for NULL.
//
// # Safety
// `session` is NULL or was not freed.
double vivavoce_session_time(const VivavoceSession *session);

// Loads a model: the folder `model`, or that inside the library if it is NULL. `how` is NULL for what the model holds, or "f32" or
// "int8". The recogniser goes to `out`; free it with vivavoce_recognizer_free.
//
// # Safety
// Texts are NULL or end with a zero; `out` can be written.
VivavoceStatus vivavoce_recognizer_new(const char *model,
                                       const char *how,
                                       VivavoceRecognizer **out);

// Frees a recogniser. NULL is nothing to free.
//
// # Safety
// It was made by vivavoce_recognizer_new, was not freed, and nobody uses it.
void vivavoce_recognizer_free(VivavoceRecognizer *recognizer);

// Rate in Hz of the samples that the model hears; 0 for NULL. Any rate from 8 to 192 kHz can be given.
//
// # Safety
// `recognizer` is NULL or one that was not freed.
uint32_t vivavoce_recognizer_rate(const VivavoceRecognizer *recognizer);

// Transcribes an audio file to its end. `options` is NULL or a JSON object. A transcript as JSON goes to `out`; free it with
// vivavoce_text_free. `stop` may be NULL.
//
// # Safety
// `recognizer` was not freed; texts are NULL or end with a zero; `out` can be written; `stop` can be called with `user`.
VivavoceStatus vivavoce_transcribe_file(const VivavoceRecognizer *recognizer,
                                        const char *path,
                                        const char *options,
                                        VivavoceStop stop,
                                        void *user,
                                        char **out);

// The same of the contents of an audio file; `name` stands for it in messages and may be NULL.
//
// # Safety
// As vivavoce_transcribe_file; `size` bytes stand at `contents`.
VivavoceStatus vivavoce_transcribe_contents(const VivavoceRecognizer *recognizer,
                                            const char *name,
                                            const uint8_t *contents,
                                            size_t size,
                                            const char *options,
                                            VivavoceStop stop,
                                            void *user,
                                            char **out);

// The same of `count` mono samples in [-1, 1] at `rate` Hz.
//
// # Safety
// As vivavoce_transcribe_file; `count` samples stand at `samples`.
VivavoceStatus vivavoce_transcribe_samples(const VivavoceRecognizer *recognizer,
                                           const float *samples,
                                           size_t count,
                                           uint32_t rate,
                                           const char *options,
                                           VivavoceStop stop,
                                           void *user,
                                           char **out);

// Begins a stream of mono samples at `rate` Hz, from 8 to 192 kHz; 0 is the model's rate. `options` is NULL or a JSON object. The
// session goes to `out`; free it with vivavoce_session_free.
//
// # Safety
// `recognizer` was not freed; `options` is NULL or ends with a zero; `out` can be written.
VivavoceStatus vivavoce_session_new(const VivavoceRecognizer *recognizer,
                                    uint32_t rate,
                                    const char *options,
                                    VivavoceSession **out);

// Frees a session. NULL is nothing to free.
//
// # Safety
// It was made by vivavoce_session_new, was not freed, and nobody uses it.
void vivavoce_session_free(VivavoceSession *session);

// From now on the calls that hear tell `listener` of each event, in the thread that makes them, and vivavoce_session_next gives
// nothing; NULL ends that. The listener must not use the session, nor jump out.
//
// # Safety
// `session` was not freed; `listener` can be called with `user` until another is set or the session is freed.
VivavoceStatus vivavoce_session_listen(VivavoceSession *session,
                                       VivavoceListener listener,
                                       void *user);

// Hears `count` samples in [-1, 1]. If one is not finite or far outside, nothing of the call is heard.
//
// # Safety
// `session` was not freed; `count` samples stand at `samples`.
VivavoceStatus vivavoce_session_accept_f32(VivavoceSession *session,
                                           const float *samples,
                                           size_t count);

// Hears `count` samples of 16 bits.
//
// # Safety
// `session` was not freed; `count` samples stand at `samples`.
VivavoceStatus vivavoce_session_accept_i16(VivavoceSession *session,
                                           const int16_t *samples,
                                           size_t count);

// Ends the stream, so that its last words come out. Does nothing the second time.
//
// # Safety
// `session` was not freed.
VivavoceStatus vivavoce_session_finish(VivavoceSession *session);

// Ends the segment here and lets its last word come out; listening goes on.
//
// # Safety
// `session` was not freed.
VivavoceStatus vivavoce_session_cut(VivavoceSession *session);

// Begins a new stream with the same options; events that were not taken are gone.
//
// # Safety
// `session` was not freed.
VivavoceStatus vivavoce_session_reset(VivavoceSession *session);

// The oldest event that was not yet taken, as JSON, goes to `out`; NULL if there is none. Free it with vivavoce_text_free.
//
// # Safety
// `session` was not freed; `out` can be written.
VivavoceStatus vivavoce_session_next(VivavoceSession *session,
                                     char **out);

// Seconds of audio heard; 0 for NULL.
//
// # Safety
// `session` is NULL or was not freed.
double vivavoce_session_time(const VivavoceSession *session);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus
