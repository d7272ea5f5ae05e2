// SPDX-License-Identifier: MIT
// A copy of this process, made by fork().
#ifndef COPY_H
#define COPY_H

// In the child of any fork, before its first other call of the library: forgets the children, the
// threads, the handlers and the fork server, which are the parent's. The locals of the thread that
// has called fork() stay.
void broodi_copy_forget(void);

#endif
