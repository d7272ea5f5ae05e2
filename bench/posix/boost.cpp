// SPDX-License-Identifier: MIT
#include "boost.h"

#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <new>

typedef boost::interprocess::interprocess_mutex mutex;

static bool make(void *object, int)
{
    new (object) mutex;
    return true;
}

static void destroy(void *object)
{
    static_cast<mutex *>(object)->~mutex();
}

static bool step(void *object, const struct visit *visit)
{
    static_cast<mutex *>(object)->lock();
    visit_touch(visit);
    static_cast<mutex *>(object)->unlock();
    return true;
}

const struct variant boost_mutex = {
    "Boost interprocess_mutex", make, destroy, nullptr, step, nullptr, nullptr, false, 0, 0
};
