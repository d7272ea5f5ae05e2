// SPDX-License-Identifier: MIT
#include "process/copy.h"

#include "message/users.h"
#include "process/children.h"
#include "process/ending.h"
#include "process/launches.h"
#include "process/server.h"
#include "thread/handlers.h"
#include "thread/threads.h"

void broodi_copy_forget(void)
{
    broodi_children_forget();
    broodi_server_forget();
    broodi_threads_forget();
    broodi_ending_forget();
    broodi_launches_forget();
    broodi_handlers_forget();
    broodi_users_forget();
}
