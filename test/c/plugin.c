/* A library of somebody else's, whose function is a native destructor. */
void plugin_free(void *data);

__attribute__((visibility("default"))) void plugin_free(void *data) {
    ++*(int *)data;
}
