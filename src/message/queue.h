// SPDX-License-Identifier: MIT
#ifndef QUEUE_H
#define QUEUE_H

// Frees the queues whose destroyer has died.
void broodi_queues_sweep(void);

#endif
