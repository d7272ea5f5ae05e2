// SPDX-License-Identifier: MIT
#include "copy.h"

#include "children.h"
#include "ending.h"
#include "handlers.h"
#include "server.h"
#include "threads.h"

void broodi_copy_forget(void)
{
    broodi_children_forget();
    broodi_server_forget();
    broodi_threads_forget();
    broodi_ending_forget();
    broodi_handlers_forget();
}
